"""Beam search against greedy decoding, and against the search of everything."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples
from unroll.generation.beam import beam_search
from unroll.generation.decoding import decode
from unroll.generation.sampling import Sampling

V, H, END, PAD = 4, 3, 3, 0


class Machine:
    """Logits that depend on all symbols so far: a plain recurrence with random weights."""

    def __init__(self, seed: int, dtype=torch.float64) -> None:
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> torch.Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

        self.embedding, self.recurrent, self.affine = draw(V, H), draw(H, H), 2 * draw(H, V)
        self.sources = draw(5, H)

    def state(self, N: int, K: int = 1):
        return (self.sources[:N].repeat_interleave(K, dim=0)[None],)

    def step(self, symbols, state):
        h = state[0][0]
        logits = []
        for t in range(symbols.shape[1]):
            h = (self.embedding[symbols[:, t]] + h @ self.recurrent).tanh()
            logits.append(h @ self.affine)
        return torch.stack(logits, dim=1), (h[None],)

    def everything(self, n: int, length: int, penalty: float):
        """Return all answers to a source with their log-probabilities, the best first."""
        found = []
        for size in range(1, length + 1):
            for answer in itertools.product(range(V), repeat=size):
                if END in answer[:-1] or (size < length and answer[-1] != END):
                    continue
                state, total = (self.sources[None, n : n + 1],), 0.0
                for before, symbol in itertools.pairwise((1, *answer)):
                    logits, state = self.step(torch.tensor([[before]]), state)
                    total += logits[0, -1].log_softmax(dim=0)[symbol].item()
                weight = ((5 + size) / 6) ** penalty
                found.append((total / weight, total, [*answer, *[PAD] * (length - size)]))
        return sorted(found, reverse=True)


def first(N: int) -> torch.Tensor:
    return torch.ones((N, 1), dtype=torch.long)


@few_examples
@given(seed=st.integers(0, 10**6), penalty=st.sampled_from([0.0, 0.6, 1.0]))
def test_a_beam_that_holds_everything_finds_the_best_of_everything(seed, penalty):
    machine, N, length = Machine(seed), 2, 3
    K = V**length
    found = beam_search(machine.step, first(N), machine.state(N, K), length, K, penalty, END, PAD)
    for n in range(N):
        every = machine.everything(n, length, penalty)
        count = len(every)
        assert count < K and found.scores[n, count:].isinf().all()
        assert found.scores[n, :count].tolist() == pytest.approx([row[0] for row in every])
        logs = [row[1] for row in every]
        assert found.log_probabilities[n, :count].tolist() == pytest.approx(logs)
        assert found.symbols[n, 0].tolist() == every[0][2]


@few_examples
@given(
    seed=st.integers(0, 10**6),
    penalty=st.sampled_from([0.0, 1.0]),
    length=st.integers(1, 8),
    end=st.sampled_from([END, None]),
)
def test_a_beam_of_one_is_greedy(seed, penalty, length, end):
    machine, N = Machine(seed), 5
    greedy = decode(machine.step, first(N), machine.state(N), length, end=end, pad=PAD)
    found = beam_search(machine.step, first(N), machine.state(N), length, 1, penalty, end, PAD)
    assert torch.equal(found.symbols[:, 0], greedy.symbols)
    expected = greedy.log_probabilities.sum(dim=1)
    torch.testing.assert_close(found.log_probabilities[:, 0], expected, rtol=1e-9, atol=1e-9)


@few_examples
@given(seed=st.integers(0, 10**6), width=st.integers(1, 6), penalty=st.sampled_from([0.0, 1.0]))
def test_a_limit_brings_the_end_and_the_best_of_what_fits(seed, width, penalty):
    machine, N, length = Machine(seed), 3, 5
    limits = torch.tensor([1, 3, 9])
    many = limits.repeat_interleave(width)
    found = beam_search(
        machine.step, first(N), machine.state(N, width), length, width, penalty, END, PAD, many
    )
    for n, limit in enumerate(limits.tolist()):
        for row, score in zip(found.symbols[n].tolist(), found.scores[n].tolist(), strict=True):
            if score > -math.inf and limit < length:
                assert END in row[: limit + 1]
        if limit == 1 and width == 6:  # wide enough for all: the end at once, or one symbol before
            every = [row for row in machine.everything(n, length, penalty) if END in row[2][:2]]
            assert found.symbols[n, 0].tolist() == every[0][2]
            assert found.scores[n, 0].item() == pytest.approx(every[0][0])
    greedy = decode(
        machine.step, first(N), machine.state(N), length, end=END, pad=PAD, limits=limits
    )
    if width == 1:
        assert torch.equal(found.symbols[:, 0], greedy.symbols)


@few_examples
@given(seed=st.integers(0, 10**6), width=st.integers(1, 6), penalty=st.sampled_from([0.0, 1.0]))
def test_answers_differ_are_ranked_and_have_the_scores_of_the_model(seed, width, penalty):
    machine, N, length = Machine(seed), 3, 4
    found = beam_search(
        machine.step, first(N), machine.state(N, width), length, width, penalty, END, PAD
    )
    for n in range(N):
        every = {tuple(row[2]): row for row in machine.everything(n, length, penalty)}
        kept = [k for k in range(width) if found.scores[n, k] > -math.inf]
        answers = [tuple(found.symbols[n, k].tolist()) for k in kept]
        assert kept and len(set(answers)) == len(answers)
        scores = [found.scores[n, k].item() for k in kept]
        assert scores == sorted(scores, reverse=True)
        assert scores == pytest.approx([every[answer][0] for answer in answers])


def test_sources_of_one_batch_are_answered_as_alone():
    machine, K, length = Machine(7), 3, 6
    together = beam_search(machine.step, first(5), machine.state(5, K), length, K, 0.6, END, PAD)
    for n in range(5):
        state = (machine.sources[n : n + 1].repeat_interleave(K, dim=0)[None],)
        alone = beam_search(machine.step, first(1), state, length, K, 0.6, END, PAD)
        there = alone.scores[0] > -math.inf
        assert torch.equal(alone.symbols[0][there], together.symbols[n][there])
        torch.testing.assert_close(alone.scores[0], together.scores[n], rtol=1e-12, atol=1e-12)


samplings = st.builds(
    Sampling,
    temperature=st.just(0.0),
    skip=st.sampled_from([(), (1,), (0, 2), (END,)]),
    repetition_penalty=st.sampled_from([1.0, 1.7]),
    spared=st.just((END,)),
)


@few_examples
@given(
    seed=st.integers(0, 10**6),
    length=st.integers(1, 6),
    sampling=samplings,
    history=st.lists(st.integers(0, V - 1), max_size=3),
)
def test_a_beam_of_one_is_greedy_with_a_penalty_and_without_what_is_skipped(
    seed, length, sampling, history
):
    machine, N = Machine(seed), 5
    before = torch.tensor(history, dtype=torch.long).expand(N, -1)
    options = {"end": END, "pad": PAD, "sampling": sampling, "history": before}
    greedy = decode(machine.step, first(N), machine.state(N), length, **options)
    found = beam_search(machine.step, first(N), machine.state(N), length, 1, **options)
    assert torch.equal(found.symbols[:, 0], greedy.symbols)
