"""The labels that a classifier gives, and what is kept of them."""

import numpy as np
import pytest
import torch

from models.toys import array, labels_options, log_softmax
from unroll.data import batches
from unroll.data.labels import Labelled
from unroll.evaluation.classification import classify
from unroll.evaluation.items import outcomes
from unroll.evaluation.labels import evaluate_labels
from unroll.kinds.labels import LabelsKind
from unroll.models.initialise import initialise
from unroll.plans.evaluation import MadeUp
from unroll.tasks.brackets import LABELS, Brackets, BracketsOptions

KIND = LabelsKind()
OPTIONS = BracketsOptions(kind="brackets", longest=8, train=20, valid=10, test=12)


def data() -> Labelled:
    return KIND.made_up(labels_options())


def classifier(given: Labelled, **changes):
    """Return a model whose labels depend on what it reads."""
    model = KIND.build(labels_options(**{"hidden_size": 16, **changes}), given.form)
    initialise(model, "default", 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
        model.affine.bias.zero_()
    return model


@pytest.mark.parametrize("pooling", ["last", "attention"])
@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("at_once", [1, 4, 100])
def test_a_label_is_the_likeliest_of_its_sequence_alone(monkeypatch, pooling, padding, at_once):
    given = data()
    model = classifier(given, pooling=pooling, padding=padding).double()
    source = given.sources["train"]
    monkeypatch.setattr(batches, "LARGEST", at_once * source.width * 16)
    found = classify(model, source, padding, "cpu")
    model.eval()
    for i, (row, length) in enumerate(zip(source.ids.tolist(), source.lengths, strict=True)):
        text = row[:length] if padding == "masked" else row
        expected = log_softmax(array(model(torch.tensor([text])))[0])
        assert found.labels[i] == expected.argmax()
        assert found.log_probabilities[i] == pytest.approx(expected.max(), rel=1e-9)
    assert len(set(found.labels.tolist())) == 2  # neither label is given to all


def test_scores_items_and_samples_are_of_the_same_answers():
    given = data()
    model = classifier(given, padding="masked")
    found = evaluate_labels(model, given, "masked", MadeUp("labels"), "cpu")
    labels = {s: classify(model, given.sources[s], "masked", "cpu").labels.numpy()
              for s in ("valid", "test")}  # fmt: skip
    right = {s: of == given.labels[s] for s, of in labels.items()}
    accuracies = {f"{s}_accuracy": of.mean() for s, of in right.items()}
    assert {name: found.scores[name] for name in accuracies} == accuracies
    assert found.items["accuracy"].values.tolist() == right["test"].astype(int).tolist()
    assert outcomes([found.items["accuracy"]]).mean() == found.scores["test_accuracy"]
    names = given.form.labels
    first = found.samples.splitlines()[:4]
    assert first == [
        f"Q {given.questions('test')[0]}",
        f"T {given.answers('test')[0]}",
        f"{'☑' if right['test'][0] else '☒'} {names[labels['test'][0]]}",
        "---",
    ]


def test_labels_are_broken_down_by_what_the_task_knows_of_the_sequences():
    task = Brackets(OPTIONS)
    given = task.prepare()
    found = evaluate_labels(classifier(given), given, "plain", task, "cpu")
    table = found.breakdown
    assert {"length", "depth", "confidence"} <= set(table["property"])
    for name in ("length", "depth", "confidence"):
        rows = table[table["property"] == name]
        assert rows["items"].sum() == OPTIONS.test
        mean = np.average(rows["mean"], weights=rows["items"])
        assert mean == pytest.approx(found.scores["test_accuracy"])
    wrong = table[table["property"] == "mistake"]
    assert wrong["items"].sum() == (1 - found.items["accuracy"].values).sum()
    # One label begins with the other, and the two differ at their first symbols.
    assert set(wrong["value"]) <= {"u instead of b", "b instead of u"}
    assert LABELS == ["balanced", "unbalanced"]
