import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples, softmax
from unroll.generation.sampling import Sampling, choose, penalised

WORDS = 8
skips = st.sets(st.integers(0, WORDS - 1), max_size=WORDS - 1).map(tuple)
seeds = st.integers(0, 10_000)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_logits(seed: int, N: int = 1) -> torch.Tensor:
    return 3 * torch.randn(N, WORDS, generator=generator(seed))


def drawn(logits: list[float], draws: int = 20_000, **options) -> np.ndarray:
    """Return how often each token was drawn."""
    rows = torch.tensor([logits]).expand(draws, -1)
    found = choose(rows, Sampling(**options), generator())
    return np.bincount(found.numpy(), minlength=len(logits)) / draws


def agree(found: np.ndarray, expected: np.ndarray, draws: int = 20_000) -> None:
    assert not found[expected == 0].any()
    assert (np.abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / draws)).all()


@few_examples
@given(seed=seeds, skip=skips)
def test_temperature_zero_takes_the_likeliest_token_that_is_not_skipped(seed, skip):
    logits = random_logits(seed, N=5)
    found = choose(logits, Sampling(temperature=0, skip=skip), generator())
    allowed = [i for i in range(WORDS) if i not in skip]
    expected = [max(allowed, key=row.__getitem__) for row in logits.tolist()]
    assert found.tolist() == expected


@few_examples
@given(
    seed=seeds,
    skip=skips,
    temperature=st.floats(0.1, 10),
    top_k=st.integers(0, WORDS + 2),
    top_p=st.floats(0.01, 1),
)
def test_every_choice_obeys_all_laws_at_once(seed, skip, temperature, top_k, top_p):
    logits = random_logits(seed)
    before = logits.clone()
    sampling = Sampling(temperature, top_k, top_p, skip)
    found = set(choose(logits.expand(200, -1), sampling, generator(seed)).tolist())
    assert torch.equal(logits, before)
    allowed = [i for i in range(WORDS) if i not in skip]
    ranked = sorted(allowed, key=logits[0].tolist().__getitem__, reverse=True)
    ranked = ranked[: top_k or None]
    likelihoods = softmax(logits[0, ranked].double().numpy() / temperature)
    needed = int((np.cumsum(likelihoods) < top_p - 1e-5).sum()) + 1
    assert found <= set(ranked[: needed + 1])  # one more where rounding decides
    assert found & set(ranked[:needed])


def test_the_temperature_divides_the_logits():
    logits = [1.0, 0.0, -0.5, 2.0]
    for temperature in (0.5, 1.0, 2.0):
        agree(drawn(logits, temperature=temperature), softmax(np.array(logits) / temperature))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_draws_among_the_k_likeliest_in_their_proportions(k):
    likelihoods = np.array([0.1, 0.4, 0.2, 0.3])
    expected = np.where(likelihoods >= np.sort(likelihoods)[-k], likelihoods, 0)
    agree(drawn(np.log(likelihoods).tolist(), top_k=k), expected / expected.sum())


@pytest.mark.parametrize(
    ("p", "kept"),
    [(0.1, [1]), (0.39, [1]), (0.41, [1, 3]), (0.75, [1, 3, 2]), (0.95, [1, 3, 2, 0])],
)
def test_top_p_draws_among_the_fewest_that_reach_p(p, kept):
    likelihoods = np.array([0.1, 0.4, 0.2, 0.3])
    expected = np.zeros(4)
    expected[kept] = likelihoods[kept]
    agree(drawn(np.log(likelihoods).tolist(), top_p=p), expected / expected.sum())


def test_skipped_tokens_give_their_share_to_the_others():
    likelihoods = np.array([0.1, 0.4, 0.2, 0.3])
    agree(
        drawn(np.log(likelihoods).tolist(), skip=(1, 2)),
        np.array([0.25, 0.0, 0.0, 0.75]),
    )


def test_top_k_counts_without_what_is_skipped():
    assert drawn([0.0, 5.0, 4.0, 3.0], top_k=1, skip=(1,))[2] == 1


def test_the_generator_decides():
    rows = torch.zeros(100, WORDS)
    one, same, other = (choose(rows, Sampling(), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@few_examples
@given(
    rows=st.lists(
        st.lists(st.integers(0, 2), min_size=WORDS, max_size=WORDS), min_size=1, max_size=4
    ),
    k=st.integers(1, WORDS - 1),
    skip=skips,
)
def test_top_k_keeps_exactly_k_also_where_several_are_equally_likely(rows, k, skip):
    """Every token that is kept is drawn: of 500 draws among 8, one is missed in 1e25 runs or so."""
    for row in torch.tensor(rows, dtype=torch.float64):
        sampling = Sampling(temperature=100, top_k=k, skip=skip)
        found = set(choose(row.expand(500, -1), sampling, generator()).tolist())
        allowed = [i for i in range(WORDS) if i not in skip]
        assert len(found) == min(k, len(allowed))
        assert found <= set(allowed)
        rest = [row[i].item() for i in allowed if i not in found]
        assert min(row[i].item() for i in found) >= max(rest, default=-1)


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1e-40, 1e300])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_every_temperature_gives_a_token_in_every_precision(temperature, dtype):
    logits = torch.tensor([[1.0, 3.0, 2.0], [-1e4, -2e4, 0.0]], dtype=dtype)
    found = choose(logits, Sampling(temperature=temperature), generator())
    if temperature < 1:
        assert found.tolist() == [1, 2]
    else:
        assert set(found.tolist()) <= {0, 1, 2}


@pytest.mark.parametrize(
    ("p", "kept"),
    [(0.2, [0, 1, 2, 3]), (0.3, [1, 2, 3]), (0.6, [1, 3]), (0.8, [1]), (1.0, [1])],
)
def test_min_p_draws_among_those_that_have_this_share_of_the_greatest(p, kept):
    likelihoods = np.array([0.1, 0.4, 0.2, 0.3])
    expected = np.where(likelihoods >= p * likelihoods.max(), likelihoods, 0)
    assert np.flatnonzero(expected).tolist() == kept
    agree(drawn(np.log(likelihoods).tolist(), min_p=p), expected / expected.sum())


@few_examples
@given(
    seed=seeds,
    skip=skips,
    temperature=st.floats(0.1, 10),
    top_p=st.floats(0.1, 1),
    min_p=st.floats(0.01, 0.99),
)
def test_min_p_is_a_share_after_the_temperature_and_beside_top_p(
    seed, skip, temperature, top_p, min_p
):
    row = random_logits(seed)
    sampling = Sampling(temperature, 0, top_p, skip, min_p)
    found = set(choose(row.expand(500, -1), sampling, generator(seed)).tolist())
    allowed = [i for i in range(WORDS) if i not in skip]
    likelihoods = softmax(row[0, allowed].double().numpy() / temperature)
    ranked = np.argsort(-likelihoods)
    needed = int((np.cumsum(likelihoods[ranked]) < top_p + 1e-5).sum()) + 1
    together = {allowed[i] for i in ranked[:needed]}
    large = {
        token
        for token, likelihood in zip(allowed, likelihoods, strict=True)
        if likelihood >= (min_p - 1e-5) * likelihoods.max()
    }
    assert found <= together & large


@few_examples
@given(seed=seeds, temperature=st.sampled_from([0.0, 0.7, 1.0, 3.0]), skip=skips)
def test_neutral_values_change_nothing(seed, temperature, skip):
    logits, history = random_logits(seed, N=20), torch.arange(WORDS).expand(20, -1)
    plain = choose(logits, Sampling(temperature, skip=skip), generator(seed))
    sampling = Sampling(temperature, skip=skip, min_p=0.0, repetition_penalty=1.0)
    assert torch.equal(choose(logits, sampling, generator(seed), history), plain)
    assert penalised(logits, sampling, history) is logits


@few_examples
@given(
    row=st.lists(st.integers(0, 3), min_size=WORDS, max_size=WORDS),
    skip=skips,
    temperature=st.floats(0.1, 10),
)
def test_min_p_of_one_is_greedy_but_for_ties(row, skip, temperature):
    logits = torch.tensor([row], dtype=torch.float32).expand(500, -1)
    sampling = Sampling(temperature, skip=skip, min_p=1.0)
    found = set(choose(logits, sampling, generator()).tolist())
    allowed = {i: value for i, value in enumerate(row) if i not in skip}
    assert found == {i for i, value in allowed.items() if value == max(allowed.values())}


def by_hand(row: np.ndarray, history: set[int], penalty: float) -> np.ndarray:
    """Return logits (V,) as a loop over the history changes them."""
    row = row.copy()
    for token in history:
        row[token] = row[token] / penalty if row[token] > 0 else row[token] * penalty
    return row


@few_examples
@given(
    seed=seeds,
    histories=st.lists(
        st.lists(st.integers(0, WORDS - 1), min_size=6, max_size=6), min_size=1, max_size=4
    ),
    penalty=st.floats(1, 10),
    skip=skips,
    spared=skips,
)
def test_repetition_divides_positive_logits_and_multiplies_negative_ones_once(
    seed, histories, penalty, skip, spared
):
    logits, history = random_logits(seed, N=len(histories)), torch.tensor(histories)
    given_logits, given_history = logits.clone(), history.clone()
    sampling = Sampling(temperature=0, skip=skip, repetition_penalty=penalty, spared=spared)
    expected = np.stack(
        [
            by_hand(row, set(tokens) - set(spared), penalty)
            for row, tokens in zip(logits.double().numpy(), histories, strict=True)
        ]
    )
    np.testing.assert_allclose(penalised(logits, sampling, history), expected, rtol=1e-5)
    found = choose(logits, sampling, None, history).tolist()
    for token, row in zip(found, expected, strict=True):
        allowed = [i for i in range(WORDS) if i not in skip]
        assert token in allowed
        assert row[token] >= row[allowed].max() - 1e-5
    assert torch.equal(logits, given_logits) and torch.equal(history, given_history)


def test_what_is_penalised_is_drawn_as_its_smaller_logits_say():
    logits, history = np.array([2.0, 1.0, -0.5, -1.0]), torch.tensor([[0, 2, 0, 0, 3]])
    sampling = Sampling(0.8, repetition_penalty=1.5, spared=(3,))
    rows = torch.tensor(logits).expand(20_000, -1)
    found = choose(rows, sampling, generator(), history.expand(20_000, -1))
    expected = softmax(np.array([2.0 / 1.5, 1.0, -0.5 * 1.5, -1.0]) / 0.8)
    agree(np.bincount(found.numpy(), minlength=4) / 20_000, expected)


def test_where_nothing_stands_nothing_is_penalised():
    logits, sampling = random_logits(3, N=2), Sampling(repetition_penalty=9.0)
    assert torch.equal(penalised(logits, sampling, None), logits)
    assert torch.equal(penalised(logits, sampling, torch.zeros(2, 0, dtype=torch.long)), logits)
