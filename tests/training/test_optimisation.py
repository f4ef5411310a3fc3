import math

import numpy as np
import pytest
import torch
from torch import nn

from models.toys import FORM, pairs_options
from unroll.kinds import kind_of
from unroll.models.initialise import initialise
from unroll.training.checkpoint import Unfit
from unroll.training.optimisation import Optimisation

GRADIENTS = {"weight": np.array([[3.0, -4.0], [0.0, 12.0]]), "bias": np.array([84.0, 0.0])}
NORM = 85.0  # of all of them together: 3² + 4² + 12² + 84² = 85²


def layer() -> nn.Linear:
    model = nn.Linear(2, 2).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 2.0], [-3.0, 4.0]]))
        model.bias.copy_(torch.tensor([0.5, -0.5]))
    return model


def stepped(steps: int = 1, **options) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the weights before and after steps with the gradients above."""
    model = layer()
    before = {name: p.detach().numpy().copy() for name, p in model.named_parameters()}
    optimisation = Optimisation(model, pairs_options(**options), steps=100)
    for _ in range(steps):
        slopes = ((torch.tensor(GRADIENTS[n]) * p).sum() for n, p in model.named_parameters())
        optimisation.step(sum(slopes))
    return before, {name: p.detach().numpy() for name, p in model.named_parameters()}


def agree(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name in GRADIENTS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=1e-12)


def test_sgd_goes_down_the_gradient_and_does_not_add_up_old_ones():
    before, after = stepped(steps=2, optimizer="sgd", learning_rate=0.01)
    agree(after, {n: before[n] - 2 * 0.01 * g for n, g in GRADIENTS.items()})


@pytest.mark.parametrize("clip", [0.5, 5.0, 84.0])
def test_the_gradient_is_clipped_by_the_norm_of_all_parameters(clip):
    before, after = stepped(optimizer="sgd", learning_rate=0.1, clip=clip)
    scale = clip / (NORM + 1e-6)  # PyTorch's guard against a norm of zero
    agree(after, {n: before[n] - 0.1 * scale * g for n, g in GRADIENTS.items()})


@pytest.mark.parametrize("clip", [None, 86.0])
def test_a_gradient_within_the_norm_stays_as_it_is(clip):
    before, after = stepped(optimizer="sgd", learning_rate=0.1, clip=clip)
    agree(after, {n: before[n] - 0.1 * g for n, g in GRADIENTS.items()})


def adam_by_hand(before, steps, learning_rate, decay, decoupled):
    weights = {name: w.copy() for name, w in before.items()}
    for name, w in weights.items():
        m = v = np.zeros_like(w)
        for t in range(1, steps + 1):
            g = GRADIENTS[name] + (0 if decoupled else decay * w)
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            if decoupled:
                w = w * (1 - learning_rate * decay)
            m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
            w = w - learning_rate * m_hat / (np.sqrt(v_hat) + 1e-8)
        weights[name] = w
    return weights


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_adam_follows_its_equations(optimizer, decay):
    before, after = stepped(3, optimizer=optimizer, learning_rate=0.01, weight_decay=decay)
    agree(after, adam_by_hand(before, 3, 0.01, decay, decoupled=optimizer == "adamw"))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_rmsprop_follows_its_equations_with_the_constants_of_keras(decay):
    before, after = stepped(3, optimizer="rmsprop", learning_rate=0.01, weight_decay=decay)
    expected = {}
    for name, w in before.items():
        v = np.zeros_like(w)
        for _ in range(3):
            g = GRADIENTS[name] + decay * w
            v = 0.9 * v + 0.1 * g**2
            w = w - 0.01 * g / (np.sqrt(v) + 1e-7)
        expected[name] = w
    agree(after, expected)


def rates(steps: int, **options) -> list[float]:
    """Return the learning rate of each step, by how far SGD goes down a slope of one."""
    model = nn.Linear(1, 1, bias=False).double()
    optimisation = Optimisation(model, pairs_options(optimizer="sgd", **options), steps)
    found = []
    for _ in range(steps):
        before = model.weight.item()
        optimisation.step(model.weight.sum())
        found.append(before - model.weight.item())
    return found


def test_a_constant_rate_stays():
    assert rates(20, learning_rate=0.5) == pytest.approx([0.5] * 20, rel=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 5, 9, 10, 11, 30, 101])
def test_one_cycle_rises_for_a_tenth_of_the_steps_and_falls_to_nearly_nothing(steps):
    rise = max(1, round(0.1 * steps))

    def rate(step: int) -> float:
        if step < rise:
            return 0.5 * (step + 1) / rise
        share = (step - rise + 1) / (steps - rise + 1)
        return 0.5 * (1 + math.cos(math.pi * share)) / 2

    found = rates(steps, schedule="one_cycle", learning_rate=0.5)
    assert found == pytest.approx([rate(step) for step in range(steps)], rel=1e-6, abs=1e-12)
    assert min(found) > 0


def test_one_cycle_peaks_at_the_learning_rate():
    found = rates(100, schedule="one_cycle", learning_rate=0.5)
    assert max(found) == found[9] == pytest.approx(0.5)
    assert found[:10] == sorted(found[:10])
    assert found[9:] == sorted(found[9:], reverse=True)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_the_second_bias_of_book_is_not_trained(optimizer):
    options = pairs_options(optimizer=optimizer, weight_decay=0.1, init="book", layers=2)
    model = kind_of(options).build(options, FORM)
    initialise(model, "book", seed=0)
    optimisation = Optimisation(model, options, steps=3)
    tokens = torch.tensor([[1, 2, 3]])
    for _ in range(3):
        optimisation.step(model(tokens, tokens).square().mean())
    seconds = [p for name, p in model.named_parameters() if "bias_hh" in name]
    firsts = [p for name, p in model.named_parameters() if "bias_ih" in name]
    assert not any(bias.any() for bias in seconds)
    assert all(bias.any() for bias in firsts)


@pytest.mark.parametrize("taken", [0, 3])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_what_it_keeps_is_enough_to_go_on(optimizer, taken):
    options = pairs_options(optimizer=optimizer, schedule="one_cycle", weight_decay=0.1)

    def step(model, optimisation) -> None:
        slopes = ((torch.tensor(GRADIENTS[n]) * p).sum() for n, p in model.named_parameters())
        optimisation.step(sum(slopes))

    model, other = layer(), layer()
    one, again = (Optimisation(of, options, steps=100) for of in (model, other))
    for _ in range(taken):
        step(model, one)
    other.load_state_dict(model.state_dict())
    again.restore({name: t.clone() for name, t in one.state().items()}, taken)
    for _ in range(2):
        step(model, one)
        step(other, again)
    for name, weight in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], weight)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_moments_that_are_missing_too_many_or_misshapen_are_unfit(optimizer):
    model = layer()
    optimisation = Optimisation(model, pairs_options(optimizer=optimizer), steps=100)
    optimisation.step(model(torch.ones(1, 2).double()).sum())
    whole = optimisation.state()
    assert len(whole) == {"sgd": 0, "adam": 6}[optimizer]
    wrong = [{n: t for n, t in whole.items() if n != name} for name in whole]
    wrong += [
        {**whole, name: tensor[None].repeat(2, *[1] * tensor.ndim)}
        for name, tensor in whole.items()
    ]
    wrong += [{**whole, name: torch.zeros(())} for name in ("2.step", "0.momentum", "x.step", "x")]
    for tensors in wrong:
        with pytest.raises(Unfit, match="moments of the optimiser are missing or of another shape"):
            optimisation.restore(tensors, 1)
