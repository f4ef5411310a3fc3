"""Muon against its equations, and against PyTorch's own."""

import math

import pytest
import torch
from torch import nn

from unroll.training.muon import AS_ADAMW, MOMENTUM, Muon, orthogonal

generator = torch.Generator


def matrices(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(1, 6, 6), (4, 5, 9), (4, 9, 5), (3, 8, 1)])
def test_singular_values_come_near_to_one_and_vectors_stay(shape):
    x = matrices(*shape)
    found = orthogonal(x)
    assert found.shape == x.shape
    U, S, V = torch.linalg.svd(x, full_matrices=False)
    inner = U.mT @ found @ V.mT  # diagonal, if the vectors are the same
    values = inner.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(inner, torch.diag_embed(values), rtol=0, atol=1e-9)
    large = 0.1 * S[:, :1] < S  # the smallest need more rounds
    assert ((values > 0.6) & (values < 1.3))[large].all()


def test_nothing_stays_nothing():
    assert torch.equal(orthogonal(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


def test_each_gate_takes_a_step_of_its_own():
    """The first gate's gradient is a thousand times that of the second: the steps are alike."""
    weight = nn.Parameter(torch.zeros(2 * 4, 6, dtype=torch.float64))
    weight.grad = torch.cat([1000 * matrices(4, 6), matrices(4, 6)])
    Muon([(weight, 2)], lr=0.1, weight_decay=0.0).step()
    one, other = weight.detach().split(4)
    torch.testing.assert_close(one, other)
    assert one.abs().max() > 0.01


def test_two_steps_follow_the_equations():
    weight = nn.Parameter(matrices(8, 3, seed=1))
    before, mean = weight.detach().clone(), torch.zeros(8, 3, dtype=torch.float64)
    optimizer = Muon([(weight, 4)], lr=0.05, weight_decay=0.2)
    for seed in (2, 3):
        weight.grad = matrices(8, 3, seed=seed)
        optimizer.step()
        mean = MOMENTUM * mean + (1 - MOMENTUM) * weight.grad
        ahead = MOMENTUM * mean + (1 - MOMENTUM) * weight.grad
        step = orthogonal(ahead.view(4, 2, 3)).view(8, 3)
        before = before * (1 - 0.05 * 0.2) - 0.05 * AS_ADAMW * math.sqrt(3) * step
        torch.testing.assert_close(weight.detach(), before)


def test_of_one_matrix_it_is_that_of_pytorch_but_for_bfloat16():
    ours, theirs = (nn.Parameter(matrices(6, 9).float()) for _ in range(2))
    one = Muon([(ours, 1)], lr=0.1, weight_decay=0.1)
    other = torch.optim.Muon(
        [theirs], lr=0.1, weight_decay=0.1, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw"
    )
    for seed in range(3):
        ours.grad = theirs.grad = matrices(6, 9, seed=seed).float()
        one.step()
        other.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.01)
    assert (ours - matrices(6, 9)).abs().max() > 0.1
