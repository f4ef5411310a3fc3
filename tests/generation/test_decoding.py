import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples, log_softmax
from unroll.generation.decoding import decode
from unroll.generation.sampling import Sampling

V = 6
LENGTH = 4
TABLE = 3 * torch.randn(V, V, generator=torch.Generator().manual_seed(0))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def by_sum(symbols, state):
    """Return logits that depend on all symbols read so far."""
    sums = symbols.cumsum(dim=1) + (0 if state is None else state[0][0])
    return TABLE[sums % V], (sums[None, :, -1:],)


def logits_of(first, written):
    """Return the logits (N, LENGTH, V) from which each written symbol was chosen."""
    read = torch.cat([first, written], dim=1)
    sums = read.cumsum(dim=1)[:, first.shape[1] - 1 : -1]
    return TABLE[sums % V].numpy()


samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 5.0]),
    top_k=st.integers(0, V),
    top_p=st.floats(0.1, 1),
    skip=st.sets(st.integers(0, V - 1), max_size=V - 1).map(tuple),
    min_p=st.sampled_from([0.0, 0.2]),
    repetition_penalty=st.sampled_from([1.0, 1.5]),
    spared=st.sampled_from([(), (2,)]),
)
firsts = st.integers(1, 3).flatmap(
    lambda T: st.lists(
        st.lists(st.integers(0, V - 1), min_size=T, max_size=T), min_size=1, max_size=3
    )
)


@few_examples
@given(first=firsts, sampling=samplings, seed=st.integers(0, 100))
def test_log_probabilities_are_those_of_the_model_before_temperature_and_filters(
    first, sampling, seed
):
    first = torch.tensor(first)
    found = decode(by_sum, first, None, LENGTH, sampling, generator(seed))
    expected = np.take_along_axis(
        log_softmax(logits_of(first, found.symbols).astype(np.float64)),
        found.symbols.numpy()[:, :, None],
        axis=2,
    )
    assert found.symbols.shape == found.log_probabilities.shape == (len(first), LENGTH)
    np.testing.assert_allclose(found.log_probabilities, expected[:, :, 0], atol=1e-5)


@few_examples
@given(first=firsts)
def test_greedy_writes_the_likeliest_symbol_and_needs_no_generator(first):
    before = torch.random.get_rng_state()
    found = decode(by_sum, torch.tensor(first), None, LENGTH)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (
        found.symbols.tolist() == logits_of(torch.tensor(first), found.symbols).argmax(2).tolist()
    )


def test_all_first_symbols_are_read_before_one_is_written():
    shapes = []

    def step(symbols, state):
        shapes.append(tuple(symbols.shape))
        return by_sum(symbols, state)

    first = torch.tensor([[1, 2, 4], [0, 5, 5]])
    decode(step, first, None, LENGTH)
    assert shapes == [(2, 3), *[(2, 1)] * (LENGTH - 1)]
    by_hand = (first.sum(dim=1) % V).tolist()
    assert (
        decode(by_sum, first, None, 1).symbols[:, 0].tolist() == TABLE[by_hand].argmax(1).tolist()
    )


def test_writing_goes_on_from_a_given_state():
    first = torch.tensor([[1, 2, 4]])
    whole = decode(by_sum, first, None, LENGTH)
    _, state = by_sum(first[:, :2], None)
    rest = decode(by_sum, first[:, 2:], state, LENGTH)
    assert torch.equal(rest.symbols, whole.symbols)
    assert torch.equal(rest.log_probabilities, whole.log_probabilities)


@few_examples
@given(first=firsts, sampling=samplings, seed=st.integers(0, 100), length=st.integers(1, 4))
def test_in_two_pieces_the_same_is_written_as_at_once(first, sampling, seed, length):
    first, random = torch.tensor(first), generator(seed)
    whole = decode(by_sum, first, None, length + LENGTH, sampling, generator(seed))
    one = decode(by_sum, first, None, length, sampling, random)
    read = torch.cat([first, one.symbols], dim=1)
    more = decode(
        by_sum, read[:, -1:], one.state, LENGTH, sampling, random, history=read[:, :-1].flip(1)
    )
    assert torch.equal(torch.cat([one.symbols, more.symbols], dim=1), whole.symbols)
    together = torch.cat([one.log_probabilities, more.log_probabilities], dim=1)
    assert torch.equal(together, whole.log_probabilities)
    assert torch.equal(more.state[0], whole.state[0])


@few_examples
@given(first=firsts, history=st.lists(st.integers(0, V - 1), max_size=3))
def test_all_that_was_read_and_written_is_penalised(first, history):
    first, penalty = torch.tensor(first), 4.0
    before = torch.tensor(history, dtype=torch.long).expand(len(first), -1)
    sampling = Sampling(temperature=0, repetition_penalty=penalty)
    found = decode(by_sum, first, None, LENGTH, sampling, history=before).symbols
    logits = logits_of(first, found)
    for n, written in enumerate(found.tolist()):
        for i, symbol in enumerate(written):
            known = {*history, *first[n].tolist(), *written[:i]}
            row = [
                x if v not in known else (x / penalty if x > 0 else x * penalty)
                for v, x in enumerate(logits[n, i].tolist())
            ]
            assert row[symbol] >= max(row) - 1e-5


@few_examples
@given(first=firsts, seed=st.integers(0, 100))
def test_a_longer_text_begins_as_a_shorter_one(first, seed):
    short, long = (
        decode(by_sum, torch.tensor(first), None, length, Sampling(), generator(seed))
        for length in (2, 5)
    )
    assert torch.equal(long.symbols[:, :2], short.symbols)
    assert torch.equal(long.log_probabilities[:, :2], short.log_probabilities)


def test_the_generator_decides_what_is_drawn():
    first = torch.zeros(30, 1, dtype=torch.long)
    one, same, other = (
        decode(by_sum, first, None, LENGTH, Sampling(), generator(seed)).symbols
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_log_probabilities_are_never_in_less_than_float32(dtype, expected):
    def step(symbols, state):
        logits, state = by_sum(symbols, state)
        return logits.to(dtype), state

    found = decode(step, torch.tensor([[3]]), None, LENGTH)
    assert found.log_probabilities.dtype == expected
    logits = torch.from_numpy(logits_of(torch.tensor([[3]]), found.symbols))
    by_hand = log_softmax(logits.to(dtype).double().numpy()).max(axis=2)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    np.testing.assert_allclose(found.log_probabilities, by_hand, atol=tolerance)


PAD = 0


@few_examples
@given(first=firsts, sampling=samplings, seed=st.integers(0, 100), end=st.integers(0, V - 1))
def test_what_follows_an_end_is_filling_and_certain_and_what_is_before_it_stays(
    first, sampling, seed, end
):
    """The end may be the symbol that fills, as in the book's data."""
    first = torch.tensor(first)
    free = decode(by_sum, first, None, LENGTH, sampling, generator(seed))
    found = decode(by_sum, first, None, LENGTH, sampling, generator(seed), end, PAD)
    assert found.symbols.shape == found.log_probabilities.shape == (len(first), LENGTH)
    for n, row in enumerate(free.symbols.tolist()):
        kept = row.index(end) + 1 if end in row else LENGTH
        assert found.symbols[n].tolist() == row[:kept] + [PAD] * (LENGTH - kept)
        scores = found.log_probabilities[n]
        assert torch.equal(scores[:kept], free.log_probabilities[n, :kept])
        assert scores[kept:].tolist() == [0.0] * (LENGTH - kept)


def counting(after: dict[int, int]):
    """Return a step that puts `after[s]` after each symbol s, and how often it was asked."""
    asked = []

    def step(symbols, state):
        asked.append(symbols[:, -1].tolist())
        logits = torch.zeros(*symbols.shape, V)
        for symbol, following in after.items():
            logits[symbols == symbol, following] = 5.0
        return logits, ()

    return step, asked


def test_when_all_sequences_have_ended_nothing_more_is_computed():
    step, asked = counting({1: 2, 2: 3, 3: 5, 4: 5, 5: 1, PAD: 4})
    first = torch.tensor([[1], [3], [4]])  # they end (5) after 3, 1 and 1 symbols
    found = decode(step, first, None, 10, end=5, pad=PAD)
    assert found.symbols.tolist() == [[2, 3, 5, *[PAD] * 7]] + [[5, *[PAD] * 9]] * 2
    # What has ended goes on reading the filling, until the last one has ended.
    assert asked == [[1, 3, 4], [2, 5, 5], [3, PAD, PAD]]
    assert found.log_probabilities[:, 3:].eq(0).all()
    assert found.log_probabilities[0, :3].lt(0).all()


def test_without_an_end_all_steps_are_computed():
    step, asked = counting({1: 5, 5: 5})
    assert decode(step, torch.tensor([[1]]), None, 4).symbols.tolist() == [[5] * 4]
    assert len(asked) == 4


def test_an_end_among_the_first_symbols_ends_nothing():
    step, _ = counting({5: 1, 1: 2, 2: 5})
    found = decode(step, torch.tensor([[3, 5]]), None, 4, end=5, pad=PAD)
    assert found.symbols.tolist() == [[1, 2, 5, PAD]]
