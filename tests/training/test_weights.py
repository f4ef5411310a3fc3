"""Which weights a training ends with."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models.toys import corpus_options
from unroll.training.checkpoint import Unfit
from unroll.training.weights import KEEP, PATIENCE


def trained(keep: str, validations: list[float], steps: int = 3, **options):
    """Train for as many epochs as there are validations, the weight being the number of the step.

    Returns what is kept, its model, and the weight at each validation.
    """
    model, seen = nn.Linear(1, 1, bias=False).double(), []
    options = corpus_options(keep=keep, epochs=max(1, len(validations)), **options)
    weights = KEEP[keep](model, options)
    for epoch in range(len(validations)):
        for step in range(steps):
            nn.init.constant_(model.weight, epoch * steps + step + 1)
            weights.after_step(validations[:epoch])
        before = model.weight.item()
        with weights.validated():
            seen.append(model.weight.item())
        assert model.weight.item() == before  # training goes on from where it was
        weights.after_epoch(validations[: epoch + 1])
    return weights, model, seen


def test_the_last_weights_are_those_that_are_there():
    weights, model, seen = trained("last", [3.0, 2.0, 2.5])
    weights.end()
    assert model.weight.item() == 9 and seen == [3, 6, 9]
    assert weights.state() == {}


@pytest.mark.parametrize(
    ("validations", "epoch"), [([3.0], 1), ([3.0, 2.0, 2.5], 2), ([2.0, 2.0, 3.0], 1)]
)
def test_the_best_weights_are_those_of_the_first_of_the_best_epochs(validations, epoch):
    weights, model, seen = trained("best", validations)
    assert seen == [3.0 * (i + 1) for i in range(len(validations))]  # as they were then
    weights.end()
    assert model.weight.item() == 3 * epoch


def test_an_average_is_of_the_steps_of_the_last_epochs_and_is_what_is_validated():
    weights, model, seen = trained("average", [4.0] * 4, averaged_epochs=2)
    assert seen == [3, 6, np.mean([7, 8, 9]), np.mean([7, 8, 9, 10, 11, 12])]
    weights.end()
    assert model.weight.item() == pytest.approx(9.5)


def test_it_is_taken_from_where_validation_no_longer_improves():
    validations = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 8.5, 8.1, 3.0, 2.0]
    _, _, seen = trained("average_on_plateau", validations)
    # The eighth is worse than the best (8.0) of the two that lie more than five before it.
    assert PATIENCE == 5
    assert seen[:8] == [3.0 * (i + 1) for i in range(8)]
    assert seen[8:] == [np.mean([25, 26, 27]), np.mean([25, 26, 27, 28, 29, 30])]


@given(st.lists(st.floats(1, 9), max_size=12), st.floats(1, 9))
def test_once_begun_it_goes_on(validations, further):
    weights = KEEP["average_on_plateau"](nn.Module(), corpus_options(keep="average_on_plateau"))
    if weights.has_begun(validations):
        assert weights.has_begun([*validations, further])


@pytest.mark.parametrize("keep", ["best", "average", "average_on_plateau"])
def test_what_is_kept_is_taken_over(keep):
    validations = [5.0] * 6 + [6.0, 7.0]
    options = {"averaged_epochs": 3} if keep == "average" else {}
    weights, model, _ = trained(keep, validations, **options)
    other = nn.Linear(1, 1, bias=False).double()
    again = KEEP[keep](other, weights.options)
    again.restore({name: t.clone() for name, t in weights.state().items()}, validations)
    for one, of in ((weights, model), (again, other)):
        nn.init.constant_(of.weight, 100)
        one.after_step(validations)
        one.end()
    assert other.weight.item() == model.weight.item() != 100


@pytest.mark.parametrize(
    ("keep", "tensors"),
    [
        ("last", {"weight": torch.zeros(1, 1)}),
        ("best", {}),
        ("best", {"weight": torch.zeros(2, 1)}),
        ("best", {"bias": torch.zeros(1, 1)}),
        ("average_on_plateau", {"weight": torch.zeros(1, 1)}),
        ("average_on_plateau", {"count": torch.tensor(3)}),
        ("average_on_plateau", {"weight": torch.zeros(1, 1), "count": torch.tensor(0)}),
        ("average_on_plateau", {"weight": torch.zeros(1, 1), "count": torch.tensor([3])}),
        ("average_on_plateau", {"weight": torch.zeros(1, 1), "count": torch.tensor(3.5)}),
    ],
)
def test_what_was_kept_by_another_training_is_unfit(keep, tensors):
    weights = KEEP[keep](nn.Linear(1, 1, bias=False), corpus_options(keep=keep))
    with pytest.raises(Unfit):
        weights.restore(tensors, [3.0])
