from itertools import pairwise

import numpy as np
import pytest
import torch

from models.toys import BF16, LABELS_FORM, array, labelled, lengths_of, lines, log_softmax
from training.made import bfloat16_anywhere, labels_run
from unroll.data.labels import Labelled
from unroll.data.sequences import SPLITS, Sequences
from unroll.evaluation.classification import classify
from unroll.training.labels import LabelsObjective

DIRECTIONS = {
    "forward": {},
    "reversed": {"reverse_source": True},
    "bidirectional": {"bidirectional": True},
}


def objective(**changes) -> LabelsObjective:
    return labels_run(**changes)[0]


def alike(sources: Sequences, labels: np.ndarray, form=LABELS_FORM) -> Labelled:
    """Return labelled sequences whose splits are alike."""
    return Labelled(form, dict.fromkeys(SPLITS, sources), dict.fromkeys(SPLITS, labels), {})


def given_to(made: LabelsObjective, epoch: int = 1) -> list[tuple]:
    """Return what the model is given at each step of an epoch."""
    found: list[tuple] = []
    hook = made.model.register_forward_pre_hook(lambda _, given: found.append(given))
    assert len(list(made.losses(epoch))) == made.steps
    hook.remove()
    return found


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_the_loss_is_the_mean_cross_entropy_of_the_labels(pooling, padding):
    texts = ("12  ", "345 ", "6789")
    sources, lengths, labels = lines(*texts), lengths_of(*texts), np.array([2, 0, 1], np.int32)
    data = alike(Sequences(sources.numpy(), lengths.numpy()), labels)
    made = objective(data=data, pooling=pooling, padding=padding)
    logits = array(made.model(sources, None if padding == "plain" else lengths))
    expected = -log_softmax(logits.astype(np.float64))[np.arange(3), labels].mean()
    (loss,) = made.losses(1)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_an_epoch_reads_whole_batches_and_each_epoch_in_an_order_of_its_own():
    made = objective(batch_size=4)
    assert made.steps == 3
    orders = [
        [[tuple(row) for row in ids.tolist()] for ids, _ in given_to(made, epoch)]
        for epoch in (1, 2)
    ]
    everything = {tuple(row) for row in made.data.sources["train"].ids.tolist()}
    for order in orders:
        read = [row for batch in order for row in batch]
        assert [len(batch) for batch in order] == [4] * 3
        assert len(set(read)) == 12 and set(read) <= everything
    assert orders[0] != orders[1]
    assert objective(batch_size=50).batch_size == 13


def test_masked_batches_are_of_like_length_and_no_wider():
    made = objective(batch_size=4, padding="masked")
    given = sorted(given_to(made), key=lambda one: one[1].max())
    assert [ids.shape[1] for ids, _ in given] == [lengths.max() for _, lengths in given]
    assert all(one[1].max() <= other[1].min() for one, other in pairwise(given))
    plain = given_to(objective(batch_size=4))
    assert [(ids.shape[1], lengths) for ids, lengths in plain] == [(6, None)] * 3


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_steps_that_were_taken_are_passed_over(padding):
    made = objective(padding=padding)
    whole = [loss.item() for loss in made.losses(2)]
    for start in range(made.steps + 1):
        assert [loss.item() for loss in made.losses(2, start)] == whole[start:]


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("pooling", ["last", "attention"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_ragged_batch_costs_what_its_sequences_cost_each_alone(cell, pooling, direction, padding):
    changes = {"cell": cell, "pooling": pooling, "padding": padding, "batch_size": 13}
    changes |= {"dtype": torch.float64, **DIRECTIONS[direction]}
    data = labelled()
    sources, labels = data.sources["train"], data.labels["train"]
    assert len(set(sources.lengths.tolist())) > 4
    made = objective(data=data, **changes)
    (found,) = made.losses(1)
    alone = []
    for n in range(13):
        rows = slice(n, n + 1)
        one = objective(data=alike(sources.part(rows), labels[rows], data.form), **changes)
        one.model = made.model
        alone += list(one.losses(1))
    expected = torch.stack(alone).mean()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    trained = [p for p in made.model.parameters() if p.requires_grad]
    one, other = (torch.autograd.grad(loss, trained) for loss in (found, expected))
    for gradient, wanted in zip(one, other, strict=True):
        scale = wanted.abs().max().item()
        assert scale > 0
        torch.testing.assert_close(gradient, wanted, rtol=1e-5, atol=1e-9 * scale)


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_labels_are_validated_in_float32_whatever_the_precision(padding):
    made = objective(machine=BF16, padding=padding, hidden_size=16)
    found = classify(made.model, made.data.sources["valid"], padding, "cpu").labels
    right = found.numpy() == made.data.labels["valid"]
    assert made.validate() == {"valid_accuracy": pytest.approx(right.mean())}


def test_bfloat16_is_near_float32_and_not_the_same():
    exact = [loss.item() for loss in objective().losses(1)]
    with bfloat16_anywhere():
        rough = [loss.item() for loss in objective(machine=BF16).losses(1)]
    assert rough != exact
    assert rough == pytest.approx(exact, rel=2e-2)
