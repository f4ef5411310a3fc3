"""F1 of labels, and which was taken for which."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from models.toys import few_examples, labels_options
from unroll.data.labels import Labelled, from_texts
from unroll.data.sequences import SPLITS
from unroll.evaluation.classification import classify
from unroll.evaluation.items import outcomes
from unroll.evaluation.labels import evaluate_labels, f1_items
from unroll.evaluation.statistics import estimate
from unroll.kinds.labels import LabelsKind
from unroll.models.initialise import initialise
from unroll.seeds import numpy_generator
from unroll.tasks.sentences import Sentences, SentencesOptions


def official(expected, given) -> float:
    occurring = np.unique(expected)
    return f1_score(expected, given, labels=occurring, average="macro", zero_division=0)


@few_examples
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 2), min_size=1, max_size=40))
def test_the_mean_of_the_items_is_macro_f1_over_the_labels_that_occur(pairs):
    expected, answered = map(np.array, zip(*pairs, strict=True))
    item = f1_items(expected, answered, labels=7)
    assert item.values.shape == (len(pairs),)
    assert item.weights is None
    assert item.values.mean() == pytest.approx(official(expected, answered), abs=1e-12)


@pytest.mark.parametrize(
    ("expected", "answered", "f1"),
    [
        ([0, 0, 1, 1], [0, 0, 1, 1], 1.0),
        ([0, 0, 1, 1], [1, 1, 0, 0], 0.0),
        ([0, 0, 1, 1], [0, 0, 0, 0], (2 * 2 / 6 + 0) / 2),  # 1 is never answered
        ([0, 0, 1, 1], [0, 2, 1, 1], (2 / 3 + 1) / 2),  # 2 does not occur
        ([0, 1, 2, 2], [0, 1, 2, 0], (2 / 3 + 1 + 2 / 3) / 3),
        ([1, 1, 1], [1, 1, 0], 2 * 2 / 5),  # one label alone
        ([2], [2], 1.0),
        ([2], [0], 0.0),
    ],
)
def test_macro_f1_of_given_answers(expected, answered, f1):
    found = f1_items(np.array(expected), np.array(answered), labels=4).values
    assert found.mean() == pytest.approx(f1)
    assert official(expected, answered) == pytest.approx(f1)


def test_a_rare_label_counts_as_much_as_a_frequent_one():
    """Nine of ten are right, and F1 tells that one label is not known at all."""
    expected, answered = np.array([0] * 9 + [1]), np.zeros(10, int)
    assert f1_items(expected, answered, labels=2).values.mean() == pytest.approx((18 / 19 + 0) / 2)


def test_the_spread_of_the_items_is_that_of_f1_when_answers_are_drawn_again():
    random = numpy_generator(0, "labels")
    expected = random.choice(4, size=400, p=[0.4, 0.3, 0.2, 0.1])
    answered = np.where(random.random(400) < 0.3, random.integers(4, size=400), expected)
    drawn = [random.integers(400, size=400) for _ in range(500)]
    again = [official(expected[rows], answered[rows]) for rows in drawn]
    found = estimate(outcomes([f1_items(expected, answered, 4)]), 0.95)
    values = f1_items(expected, answered, 4).values
    assert found.mean == pytest.approx(official(expected, answered))
    assert values.std(ddof=1) / 20 == pytest.approx(np.std(again), rel=0.15)


def data(seed: int = 0) -> Labelled:
    """Return sentences of three labels; in test one of these does not occur."""
    random = numpy_generator(seed, "sentences")

    def rows(count: int, labels: list[str]) -> list[tuple[str, str]]:
        texts = [" ".join(random.choice([*"abcdef"], n)) for n in random.integers(1, 6, count)]
        return list(zip(texts, random.choice(labels, count).tolist(), strict=True))

    splits = {"train": rows(20, ["x", "y", "z"]), "valid": rows(15, ["x", "y", "z"])}
    return from_texts({**splits, "test": rows(30, ["x", "y"])}, "word", minimum_count=2)


def classifier(given: Labelled):
    """Return a model that gives each of the labels to some."""
    model = LabelsKind().build(labels_options(hidden_size=16, pooling="max"), given.form)
    initialise(model, "default", 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
        source = given.sources["test"]
        ids, lengths = (torch.as_tensor(of).long() for of in (source.ids, source.lengths))
        model.affine.bias -= model(ids, lengths).mean(dim=0)
    return model


TASK = Sentences(SentencesOptions(kind="sentences", unit="word"))


@pytest.fixture(scope="module")
def evaluated():
    given = data()
    model = classifier(given)
    labels = {s: classify(model, given.sources[s], "masked", "cpu").labels.numpy() for s in SPLITS}
    assert len(set(labels["test"].tolist())) == 3
    return given, labels, evaluate_labels(model, given, "masked", TASK, "cpu")


def test_accuracy_and_macro_f1_are_scores_of_both_splits(evaluated):
    given, labels, found = evaluated
    assert set(found.scores) == {
        f"{s}_{m}" for s in ("valid", "test") for m in ("accuracy", "macro_f1")
    }
    for split in ("valid", "test"):
        expected = given.labels[split]
        assert found.scores[f"{split}_accuracy"] == np.mean(labels[split] == expected)
        f1 = official(expected, labels[split])
        assert found.scores[f"{split}_macro_f1"] == pytest.approx(f1, abs=1e-12)
        assert 0 < f1 < 1
    assert all(type(score) is float for score in found.scores.values())


def test_each_item_of_test_has_its_part_in_both(evaluated):
    given, labels, found = evaluated
    assert list(found.items) == ["accuracy", "macro_f1"]
    for name, item in found.items.items():
        assert item.values.shape == (30,)
        mean = outcomes([item]).mean()
        assert mean == pytest.approx(found.scores[f"test_{name}"], abs=1e-12)
    right = labels["test"] == given.labels["test"]
    assert found.items["accuracy"].values.tolist() == right.astype(int).tolist()


def test_the_confusion_has_all_items_of_test(evaluated):
    given, labels, found = evaluated
    table = found.breakdown[found.breakdown["property"] == "label × answer"].set_index("value")
    assert table["items"].sum() == 30
    names = given.form.labels
    pairs = list(zip(given.labels["test"].tolist(), labels["test"].tolist(), strict=True))
    assert table["items"].to_dict() == {
        f"{names[one]} × {names[other]}": pairs.count((one, other)) for one, other in pairs
    }
    right = table[table["mean"] == 1]
    assert right["items"].sum() / 30 == pytest.approx(found.scores["test_accuracy"])
    assert all(len(set(value.split(" × "))) == 1 for value in right.index)
    assert table["confidence"].between(1 / 3, 1).all()


def test_lengths_are_those_of_the_texts_and_mistakes_name_both_labels(evaluated):
    given, _, found = evaluated
    table = found.breakdown
    lengths = table[table["property"] == "length"].set_index("value")["items"]
    words = np.array([len(text.split()) for text in given.questions("test")])
    assert lengths["1–2"] == (words <= 2).sum() and lengths.sum() == 30
    mistakes = table[table["property"] == "mistake"]
    assert mistakes["items"].sum() == (1 - found.items["accuracy"].values).sum()
    assert all(" instead of " in value for value in mistakes["value"])


def test_samples_show_the_texts_as_they_were(evaluated):
    given, labels, _ = evaluated
    texts = [f"{text} in full" for text in given.questions("test")]
    other = replace(given, texts={**given.texts, "test": texts})
    samples = evaluate_labels(classifier(given), other, "masked", TASK, "cpu").samples
    answered = given.form.labels[labels["test"][0]]
    right = "☑" if answered == given.answers("test")[0] else "☒"
    assert samples.splitlines()[:4] == [
        f"Q {texts[0]}",
        f"T {given.answers('test')[0]}",
        f"{right} {answered}",
        "---",
    ]
