import numpy as np
import pytest
import torch
from torch import nn

from models.toys import array, steps
from unroll.models.dropout import Dropout, set_generator
from unroll.models.layers import CELLS, RecurrentStack

D, H = 3, 4


def stack(cell: str, layers: int = 1, **options) -> RecurrentStack:
    torch.manual_seed(1)
    return RecurrentStack(D, H, layers, CELLS[cell], **{"dropout": 0.0, **options}).double()


def inputs(N: int = 2, T: int = 5) -> torch.Tensor:
    return torch.randn(N, T, D, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def start(cell: str, layers: int = 1, N: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    shape = (layers, N, H)
    parts = 2 if cell == "lstm" else 1
    return tuple(torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(parts))


def close(found: torch.Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(array(found), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("given", [False, True], ids=["from zeros", "from a state"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_follows_the_equations_of_its_cell(cell, given):
    model, x = stack(cell), inputs()
    state = start(cell) if given else None
    outputs, after = model(x, state)
    from_numpy = tuple(array(part[0]) for part in state) if state else None
    expected, expected_state = steps(cell, model.layers[0], array(x), from_numpy)
    close(outputs, expected)
    assert len(after) == len(expected_state)
    for part, expected_part in zip(after, expected_state, strict=True):
        close(part, expected_part[None])


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_layers_above_the_first_read_the_outputs_below(cell, skip):
    model, x = stack(cell, layers=3, skip_connections=skip), inputs()
    below, states = array(x), []
    for i, layer in enumerate(model.layers):
        outputs, state = steps(cell, layer, below)
        below = outputs + below if skip and i else outputs
        states.append(state)
    outputs, after = model(x)
    close(outputs, below)
    for part, expected in zip(after, zip(*states, strict=True), strict=True):
        close(part, np.stack(expected))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_a_carried_state_makes_one_pass_of_two(cell, layers):
    model, x, state = stack(cell, layers, skip_connections=True), inputs(T=7), start(cell, layers)
    whole, end = model(x, state)
    first, between = model(x[:, :3], state)
    second, after = model(x[:, 3:], between)
    close(torch.cat([first, second], dim=1), array(whole))
    for part, expected in zip(after, end, strict=True):
        close(part, array(expected))


@pytest.mark.parametrize("cell", CELLS)
def test_a_bidirectional_layer_reads_both_ways_with_half_the_size_each(cell):
    model, x = stack(cell, bidirectional=True), array(inputs())
    forth, forth_state = steps(cell, model.layers[0], x)
    back, back_state = steps(cell, model.layers[0], x[:, ::-1], suffix="l0_reverse")
    outputs, after = model(torch.tensor(x))
    close(outputs, np.concatenate([forth, back[:, ::-1]], axis=2))
    for part, one, other in zip(after, forth_state, back_state, strict=True):
        close(part, np.concatenate([one, other], axis=1)[None])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_after_the_length_is_not_read(cell, layers, bidirectional):
    model, x = stack(cell, layers, bidirectional=bidirectional), inputs(N=3)
    lengths = torch.tensor([2, 5, 1])
    outputs, after = model(x, lengths=lengths)
    assert outputs.shape == (3, 5, H)
    for n, length in enumerate(lengths.tolist()):
        alone, end = model(x[n : n + 1, :length])
        close(outputs[n, :length], array(alone[0]))
        assert torch.equal(outputs[n, length:], torch.zeros(5 - length, H, dtype=x.dtype))
        for part, expected in zip(after, end, strict=True):
            close(part[:, n], array(expected[:, 0]))


def test_dropout_lies_between_layers_and_nowhere_else():
    alone, x = stack("lstm", dropout=0.5), inputs()
    assert torch.equal(alone.train()(x)[0], alone.eval()(x)[0])
    model = stack("lstm", layers=2, dropout=0.5)
    set_generator(model, torch.Generator().manual_seed(5))
    below = model.layers[0](x)[0]
    keep = torch.empty(below.shape).bernoulli_(0.5, generator=torch.Generator().manual_seed(5))
    expected, _ = steps("lstm", model.layers[1], array(below * keep * 2))
    close(model.train()(x)[0], expected)


def test_set_generator_reaches_every_dropout():
    model = nn.Sequential(Dropout(0.1), stack("rnn", layers=2, dropout=0.1))
    generator = torch.Generator()
    set_generator(model, generator)
    assert model[0].generator is generator
    assert model[1].dropout.generator is generator
    assert model[1].weight_drop.generator is generator


@pytest.mark.parametrize("given", [False, True], ids=["from zeros", "from a state"])
@pytest.mark.parametrize("cell", CELLS)
def test_dropped_recurrent_weights_are_dropped_at_all_steps_and_in_each_layer(cell, given):
    model, x = stack(cell, layers=2, weight_drop=0.5), inputs()
    set_generator(model, torch.Generator().manual_seed(5))
    state = start(cell, layers=2) if given else None
    outputs, after = model.train()(x, state)
    generator, below, expected = torch.Generator().manual_seed(5), array(x), []
    for i, layer in enumerate(model.layers):
        weight = layer.weight_hh_l0
        keep = torch.empty(weight.shape, dtype=weight.dtype).bernoulli_(0.5, generator=generator)
        before = weight.detach().clone()
        with torch.no_grad():
            weight.mul_(keep * 2)
        of_layer = tuple(array(part[i]) for part in state) if state else None
        below, end = steps(cell, layer, below, of_layer)
        expected.append(end)
        with torch.no_grad():
            weight.copy_(before)
    close(outputs, below)
    for part, ends in zip(after, zip(*expected, strict=True), strict=True):
        close(part, np.stack(ends))
    plain, _ = stack(cell, layers=2)(x, state)
    assert torch.equal(model.eval()(x, state)[0], plain)


@pytest.mark.parametrize("cell", CELLS)
def test_a_weight_that_was_dropped_learns_nothing(cell):
    model = stack(cell, weight_drop=0.5)
    set_generator(model, torch.Generator().manual_seed(5))
    model.train()(inputs())[0].square().sum().backward()
    weight = model.layers[0].weight_hh_l0
    keep = torch.empty(weight.shape).bernoulli_(0.5, generator=torch.Generator().manual_seed(5))
    assert torch.equal(weight.grad != 0, keep.bool())
