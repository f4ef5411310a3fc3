import numpy as np
import pytest
import torch

from models.toys import array, lengths_of, lines, seq2seq, steps

CELLS = ("lstm", "gru", "rnn")
TEXTS = ("12  ", "5678", "903 ")
SOURCE, LENGTHS = lines(*TEXTS), lengths_of(*TEXTS)


def encoder(**options):
    return seq2seq(**options).double().encoder


@pytest.mark.parametrize("cell", CELLS)
def test_the_encoder_reads_embeddings_and_leaves_memory_and_state(cell):
    model = encoder(cell=cell)
    embedded = array(model.embedding.weight)[SOURCE.numpy()]
    outputs, state = steps(cell, model.recurrent.layers[0], embedded)
    memory, after = model(SOURCE)
    np.testing.assert_allclose(array(memory.states), outputs, rtol=1e-10)
    np.testing.assert_allclose(array(memory.summary), state[0], rtol=1e-10)
    assert memory.present is None
    for part, expected in zip(after, state, strict=True):
        np.testing.assert_allclose(array(part[0]), expected, rtol=1e-10)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_the_summary_is_the_last_h_of_the_top_layer(cell, bidirectional):
    memory, state = encoder(cell=cell, layers=2, bidirectional=bidirectional)(SOURCE)
    assert [part.shape for part in state] == [(2, 3, 4)] * (2 if cell == "lstm" else 1)
    assert torch.equal(memory.summary, state[0][1])
    if not bidirectional:
        assert torch.equal(memory.summary, memory.states[:, -1])


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_a_reversed_source_is_read_from_its_end(padding):
    backwards = {"plain": lines("  21", "8765", " 309"), "masked": lines("21  ", "8765", "309 ")}
    lengths = LENGTHS if padding == "masked" else None
    memory, state = encoder(reverse_source=True)(SOURCE, lengths)
    expected, expected_state = encoder()(backwards[padding], lengths)
    assert torch.equal(memory.states, expected.states)
    assert all(torch.equal(a, b) for a, b in zip(state, expected_state, strict=True))


@pytest.mark.parametrize(
    ("reverse", "lengths", "expected"),
    [
        (False, None, [[0, 1, 2, 3]] * 3),
        (False, LENGTHS, [[0, 1, 2, 3]] * 3),
        (True, None, [[3, 2, 1, 0]] * 3),
        (True, LENGTHS, [[1, 0, 2, 3], [3, 2, 1, 0], [2, 1, 0, 3]]),
    ],
)
def test_positions_say_where_in_the_source_each_state_was_read(reverse, lengths, expected):
    memory, _ = encoder(reverse_source=reverse)(SOURCE, lengths)
    assert memory.positions.tolist() == expected
    read, _ = encoder()(SOURCE.gather(1, memory.positions), lengths)
    assert torch.equal(memory.states, read.states)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_a_masked_state_passes_the_filling_by(cell, layers, bidirectional, reverse):
    model = encoder(cell=cell, layers=layers, bidirectional=bidirectional, reverse_source=reverse)
    memory, state = model(lines("12  "), lengths_of("12  "))
    expected, expected_state = model(lines("12"))
    assert memory.present.tolist() == [[True, True, False, False]]
    torch.testing.assert_close(memory.states[:, :2], expected.states, rtol=1e-12, atol=1e-12)
    assert not memory.states[:, 2:].any()
    torch.testing.assert_close(state, expected_state, rtol=1e-12, atol=1e-12)


def test_without_lengths_blanks_are_read_like_any_symbol():
    model = encoder()
    assert not torch.allclose(model(lines("12"))[0].summary, model(lines("12  "))[0].summary)


TWICE = {
    "plain": ("12  12  ", "56785678", "903 903 "),
    "masked": ("1212    ", "56785678", "903903  "),
}
OTHERWISE = {
    "forward": {},
    "reversed": {"reverse_source": True},
    "bidirectional": {"bidirectional": True, "layers": 2},
    "both": {"bidirectional": True, "reverse_source": True},
}


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("how", OTHERWISE)
@pytest.mark.parametrize("cell", CELLS)
def test_a_doubled_source_is_read_as_the_text_after_itself(cell, how, padding):
    lengths = LENGTHS if padding == "masked" else None
    twice = 2 * LENGTHS if padding == "masked" else None
    options = {"cell": cell, **OTHERWISE[how]}
    memory, state = encoder(double_source=True, **options)(SOURCE, lengths)
    expected, expected_state = encoder(**options)(lines(*TWICE[padding]), twice)
    assert torch.equal(memory.states, expected.states)
    assert torch.equal(memory.summary, expected.summary)
    assert all(torch.equal(a, b) for a, b in zip(state, expected_state, strict=True))
    if padding == "plain":
        assert memory.present is expected.present is None
    else:
        assert torch.equal(memory.present, expected.present)
        assert memory.present.sum(dim=1).tolist() == [4, 8, 6]


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("reverse", [False, True])
def test_positions_of_a_doubled_source_are_those_of_the_text(reverse, padding):
    lengths = LENGTHS if padding == "masked" else None
    memory, _ = encoder(double_source=True, reverse_source=reverse)(SOURCE, lengths)
    assert memory.positions.shape == (3, 8)
    for row, length in enumerate([4, 4, 4] if padding == "plain" else LENGTHS.tolist()):
        once = list(range(length))
        expected = 2 * (once[::-1] if reverse else once)
        assert memory.positions[row, : 2 * length].tolist() == expected
    twice = 2 * LENGTHS if padding == "masked" else None
    read, _ = encoder()(SOURCE.gather(1, memory.positions), twice)
    assert torch.equal(memory.states, read.states)


def test_to_read_a_source_twice_is_not_to_read_it_once():
    once, twice = encoder(), encoder(double_source=True)
    assert [p.shape for p in once.parameters()] == [p.shape for p in twice.parameters()]
    memory, _ = once(SOURCE)
    again, _ = twice(SOURCE)
    assert torch.equal(again.states[:, :4], memory.states)
    assert not torch.allclose(again.summary, memory.summary)


def test_a_doubled_masked_source_is_read_alone_as_beside_longer_ones():
    model = encoder(double_source=True, bidirectional=True, layers=2)
    memory, state = model(SOURCE, LENGTHS)
    for row, (text, length) in enumerate(zip(TEXTS, LENGTHS.tolist(), strict=True)):
        alone, state_alone = model(lines(text[:length]))
        torch.testing.assert_close(memory.states[row, : 2 * length], alone.states[0])
        assert not memory.states[row, 2 * length :].any()
        for part, other in zip(state, state_alone, strict=True):
            torch.testing.assert_close(part[:, row], other[:, 0])
