import numpy as np
import pytest
import torch
from torch import nn

from models.toys import array, steps
from unroll.models.layers import Dropout, RecurrentStack, set_generator

CELLS = ("lstm", "gru", "rnn")
D, H = 3, 4


def stack(cell: str, layers: int = 1, **options) -> RecurrentStack:
    torch.manual_seed(1)
    return RecurrentStack(D, H, layers, cell, **{"dropout": 0.0, **options}).double()


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


def dropped(variational: bool = False, rate: float = 0.25, seed: int = 0) -> torch.Tensor:
    dropout = Dropout(rate, variational)
    dropout.generator = torch.Generator().manual_seed(seed)
    return dropout(torch.ones(8, 50, 100))


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_keeps_and_scales_the_right_share(variational):
    found = dropped(variational)
    assert set(found.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    draws = 8 * 100 if variational else 8 * 50 * 100
    assert abs(found.mean().item() - 1) < 5 * (0.25 / 0.75 / draws) ** 0.5


def test_variational_dropout_has_one_mask_for_all_steps_of_a_sequence():
    found = dropped(variational=True)
    assert torch.equal(found, found[:, :1].expand_as(found))
    assert len(found[:, 0].unique(dim=0)) == 8


def test_plain_dropout_has_a_mask_for_each_step():
    assert len(dropped().flatten(0, 1).unique(dim=0)) == 8 * 50


def test_dropout_draws_from_its_own_generator_alone():
    before = torch.get_rng_state()
    assert torch.equal(dropped(seed=1), dropped(seed=1))
    assert not torch.equal(dropped(seed=1), dropped(seed=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_changes_nothing_when_it_is_off():
    x = inputs()
    assert Dropout(0.0)(x) is x
    assert Dropout(0.9).eval()(x) is x


def test_dropout_without_a_generator_is_refused():
    with pytest.raises(RuntimeError, match="set_generator"):
        Dropout(0.5)(inputs())


def test_set_generator_reaches_every_dropout():
    model = nn.Sequential(Dropout(0.1), stack("rnn", layers=2, dropout=0.1))
    generator = torch.Generator()
    set_generator(model, generator)
    assert model[0].generator is generator
    assert model[1].dropout.generator is generator
