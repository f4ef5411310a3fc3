import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.toys import log_softmax
from unroll.models.linear_cross_entropy import BLOCK, linear_cross_entropy

H, V = 10, 23


def arguments(N: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(N)
    shapes = ((N, H), (V, H), (V,))
    parts = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    return parts, torch.randint(V, (N,), generator=generator)


def plain(hidden, weight, bias, targets):
    return F.cross_entropy(F.linear(hidden, weight, bias).float(), targets)


@pytest.mark.parametrize("N", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 22])
def test_loss_and_gradients_are_those_of_linear_and_cross_entropy(N):
    parts, targets = arguments(N)
    found, expected = linear_cross_entropy(*parts, targets), plain(*parts, targets)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    # The factor shows that the gradient from above is taken over.
    found_gradients = torch.autograd.grad(3 * found, parts)
    expected_gradients = torch.autograd.grad(3 * expected, parts)
    torch.testing.assert_close(found_gradients, expected_gradients, rtol=1e-5, atol=1e-6)


def test_the_loss_follows_its_equation():
    (hidden, weight, bias), targets = arguments(70)
    logits = (hidden.double() @ weight.double().t() + bias).detach().numpy()
    expected = -log_softmax(logits)[np.arange(70), targets].mean()
    assert linear_cross_entropy(hidden, weight, bias, targets).item() == pytest.approx(expected)


def test_under_autocast_it_is_as_near_as_bfloat16_allows():
    parts, targets = arguments(150)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = linear_cross_entropy(*parts, targets)
    expected = plain(*parts, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=0)
    found_gradients = torch.autograd.grad(found, parts)
    assert all(gradient.dtype == torch.float32 for gradient in found_gradients)
    for gradient, exact in zip(found_gradients, torch.autograd.grad(expected, parts), strict=True):
        assert (gradient - exact).norm() < 0.02 * exact.norm()


def test_a_target_that_seems_impossible_costs_much_but_not_infinitely_much():
    hidden = torch.ones(1, 1, requires_grad=True)
    weight = torch.tensor([[0.0], [1000.0]], requires_grad=True)
    loss = linear_cross_entropy(hidden, weight, torch.zeros(2), torch.tensor([0]))
    loss.backward()
    assert 80 < loss.item() < 1000
    assert weight.grad.tolist() == [[-1.0], [1.0]]


def test_without_gradients_it_only_measures():
    parts, targets = arguments(5)
    with torch.no_grad():
        found = linear_cross_entropy(*parts, targets)
    assert not found.requires_grad
    torch.testing.assert_close(found, plain(*parts, targets))


def test_a_float64_model_is_measured_in_float64():
    parts, targets = arguments(BLOCK + 3)
    parts = [part.detach().double().requires_grad_() for part in parts]
    found = linear_cross_entropy(*parts, targets)
    expected = F.cross_entropy(F.linear(*parts), targets)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=0)
    torch.testing.assert_close(
        torch.autograd.grad(found, parts),
        torch.autograd.grad(expected, parts),
        rtol=1e-11,
        atol=1e-14,
    )
