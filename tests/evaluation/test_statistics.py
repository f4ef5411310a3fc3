"""Intervals that cover the truth, and tests that agree with scipy where it has the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.toys import few_examples
from unroll.evaluation.statistics import (
    degrees_of_freedom,
    estimate,
    holm,
    mean_squares,
    seeds_that_tell,
    standard_error,
    superiority,
)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def run(outcomes: np.ndarray):
    return estimate(outcomes, 0.95)


def test_one_seed_has_a_mean_and_no_interval():
    found = run(np.array([[1.0, 0.0, 1.0, 1.0]]))
    assert found.mean == 0.75
    assert np.isnan([found.std, found.error, found.low, found.high, found.p_value]).all()


def test_without_items_the_interval_is_that_of_the_t_test():
    values = generator(1).normal(0.3, 0.1, size=6)
    found = run(values[:, None])
    expected = stats.ttest_1samp(values, 0)
    interval = expected.confidence_interval(0.95)
    assert found.freedom == 5
    assert found.std == pytest.approx(values.std(ddof=1))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p_value == pytest.approx(expected.pvalue)


def test_a_difference_of_pairs_is_that_of_the_paired_t_test():
    a, b = generator(2).normal(size=(2, 5))
    found = run((a + 0.5 - b)[:, None])
    assert found.p_value == pytest.approx(stats.ttest_rel(a + 0.5, b).pvalue)


def test_with_many_seeds_that_agree_the_error_is_that_of_the_items():
    items = generator(3).random(400) < 0.3
    outcomes = np.repeat(items[None].astype(float), 50, axis=0)
    expected = items.std() / np.sqrt(400)
    assert standard_error(outcomes) == pytest.approx(expected, rel=0.003)
    assert degrees_of_freedom(outcomes) == pytest.approx(399, rel=0.01)


@pytest.mark.parametrize("outcomes", [np.zeros((4, 50)), np.full((2, 1), 0.3)])
def test_without_any_spread_there_is_no_interval(outcomes):
    """That all seeds agree to the digit is chance where there are few: it is no certainty."""
    found = run(outcomes)
    assert found.mean == pytest.approx(outcomes[0, 0])
    assert np.isnan([found.low, found.high, found.p_value]).all()


def test_that_all_answers_are_right_has_the_error_of_one_of_them():
    """All right against all wrong is told, and one answer less changes little."""
    every, but_one = np.ones((4, 50)), np.ones((4, 50))
    but_one[2, 7] = 0
    errors = [standard_error(outcomes) for outcomes in (every, but_one)]
    assert errors[0] == 1 / 50
    assert errors[1] == pytest.approx(errors[0], rel=0.5)
    assert 0 < run(every).p_value < 1e-4
    assert 0 < run(but_one).p_value < 1e-4


@few_examples
@given(st.integers(2, 6), st.integers(2, 30), st.integers(0, 1000))
def test_the_error_is_what_drawing_seeds_and_items_anew_gives(S, I, seed):  # noqa: E741
    """The variance of the pigeonhole bootstrap (Owen, 2007), in closed form, corrected.

    Seeds are widened, for S of them show (S - 1) / S of their variance, and so are items; what
    neither explains enters three times, and is taken off twice.
    """
    outcomes = np.random.default_rng(seed).normal(size=(S, I))
    centred = outcomes - outcomes.mean()
    by_seeds, by_items = centred.mean(axis=1, keepdims=True), centred.mean(axis=0)
    wide = centred + (np.sqrt(S / (S - 1)) - 1) * by_seeds + (np.sqrt(I / (I - 1)) - 1) * by_items
    drawn = (
        (S - 1) / S * (wide.sum(axis=0) ** 2).sum()
        + (I - 1) / I * (wide.sum(axis=1) ** 2).sum()
        + (wide**2).sum()
    ) / (S * I)
    _, of_items, left = mean_squares(outcomes)
    surplus = left * (1 + (S - 1) * (I - 1) / (S * I))
    expected = np.sqrt(max(drawn - surplus, of_items) / (S * I))
    assert standard_error(outcomes) == pytest.approx(expected)


def test_as_many_seeds_as_are_said_to_tell_do_so_in_four_of_five_cases():
    random, difference, std, level = generator(5), 0.05, 0.06, 0.01
    # Of ten thousand seeds, with no items: what was seen is the truth.
    seen = random.normal(difference, std, 10_000)[:, None]
    seeds = seeds_that_tell(seen, level)
    told = [
        run(random.normal(difference, std, seeds)[:, None]).p_value < level for _ in range(4_000)
    ]
    assert np.mean(told) == pytest.approx(0.8, abs=0.05)


def test_more_seeds_do_not_tell_what_items_hide():
    hard = generator(6).normal(0.01, 1, size=(1, 40))
    assert seeds_that_tell(np.repeat(hard, 4, axis=0), 0.05) is None


def coverage(S: int, items: int, of_seeds: float, of_items: float) -> float:
    """Return how often a nominal 95 % covers the truth: a share of right answers of 0.5.

    Seeds differ by `of_seeds` (a standard deviation), items by how hard they are; the rest is
    chance.
    """
    random, rounds, covered = generator(items + S), 2_000, 0
    for _ in range(rounds):
        seeds = random.normal(0.5, of_seeds, size=(S, 1))
        hardness = random.normal(0, of_items, size=(1, items))
        # Cut off on both sides alike, so that 0.5 remains the truth.
        outcomes = (random.random((S, items)) < seeds + hardness).astype(float)
        found = estimate(outcomes, 0.95)
        covered += found.low <= 0.5 <= found.high
    return covered / rounds


@pytest.mark.slow
@pytest.mark.parametrize("S", [3, 4, 5])
@pytest.mark.parametrize(
    ("items", "of_seeds", "of_items"),
    [(300, 0.15, 0.15), (300, 0.05, 0.15), (200, 0.03, 0.3)],
    ids=["mostly seeds", "both", "mostly items"],
)
def test_a_nominal_95_percent_covers_the_truth_in_93_to_97(S, items, of_seeds, of_items):
    assert 0.93 <= coverage(S, items, of_seeds, of_items) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("of_seeds", [0.02, 0.05, 0.15])
def test_with_two_seeds_the_interval_covers_the_truth_at_least_as_often(of_seeds):
    assert coverage(2, items=300, of_seeds=of_seeds, of_items=0.15) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("S", [3, 5])
def test_where_seeds_do_not_differ_the_interval_errs_on_the_safe_side(S):
    """That they do not is not known to it."""
    assert 0.95 <= coverage(S, items=300, of_seeds=0, of_items=0.15) <= 0.985


@few_examples
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_correction_for_many_tests_only_raises_and_keeps_the_order(p_values):
    corrected = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    assert all(c >= p or c == 1 for c, p in zip(corrected, p_values, strict=True))
    assert (np.diff(np.array(corrected)[order]) >= 0).all()
    assert max(corrected) <= 1


def test_the_correction_is_holms():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01]) == [0.01]
    assert holm([]) == []
    found = holm([float("nan"), 0.02])
    assert np.isnan(found[0])
    assert found[1] == 0.02


@few_examples
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=8),
    st.lists(st.integers(0, 5), min_size=1, max_size=8),
)
def test_superiority_is_the_statistic_of_mann_and_whitney(a, b):
    expected = stats.mannwhitneyu(a, b).statistic / (len(a) * len(b))
    assert superiority(a, b) == pytest.approx(expected)
