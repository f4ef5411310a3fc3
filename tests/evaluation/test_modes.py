"""Seeds of two kinds are said to be, and normal ones hardly ever."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from models.toys import few_examples
from unroll.evaluation.modes import APART, LEVEL, border, modes, p_value_of_shares, unseen


@pytest.mark.parametrize(
    ("values", "lower"),
    [
        ([0.10, 0.86, 0.09, 0.11], [0.09, 0.10, 0.11]),
        ([0.86, 0.85, 0.10, 0.11, 0.87, 0.86], [0.10, 0.11]),
    ],
)
def test_seeds_that_get_stuck_are_told_from_those_that_learn(values, lower):
    found = modes(values)
    assert found.lower.tolist() == lower
    assert sorted([*found.lower, *found.upper]) == sorted(values)


@pytest.mark.parametrize(
    "values",
    [
        [0.10, 0.12, 0.09, 0.11],
        [0.10, 0.86],  # too few to tell
        [0.999, 0.999, 0.998, 0.92, 0.999, 0.999],  # apart, but not by what matters
        [0.5, 0.5, 0.5],
    ],
)
def test_what_is_of_one_kind_or_cannot_be_told(values):
    assert modes(values) is None


@pytest.mark.parametrize("seeds", [3, 4, 8, 12])
def test_normal_seeds_are_taken_for_two_kinds_as_often_as_is_said(seeds):
    random = np.random.default_rng(seeds)
    drawn = random.normal(0, 100, size=(20_000, seeds))  # far apart, so that alone decides
    assert np.mean([modes(of) is not None for of in drawn]) == pytest.approx(LEVEL, abs=0.003)


@few_examples
@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=9),
    st.floats(0.5, 2),
    st.randoms(use_true_random=False),
)
def test_neither_order_nor_place_nor_direction_matters(values, by, random):
    gaps = np.diff(np.sort([10 * value for value in values]))
    assume(not np.isclose(gaps, APART).any())  # rounding would decide
    found = modes([10 * value for value in values])
    shuffled = [10 * value + by for value in values]
    random.shuffle(shuffled)
    assert (modes(shuffled) is None) == (found is None)
    mirrored = modes([-10 * value for value in values])
    assert (mirrored is None) == (found is None)
    if found is not None:
        assert len(mirrored.upper) == len(found.lower)


def test_the_border_lies_between_the_two():
    assert border([0.1, 0.9, 0.2, 0.8]) == pytest.approx(0.5)


def test_shares_are_compared_by_fishers_test():
    learned, stuck = [0.9] * 7 + [0.1], [0.1] * 8
    expected = stats.fisher_exact([[7, 1], [0, 8]]).pvalue
    assert p_value_of_shares(learned, stuck, 0.5) == expected < 0.002
    assert p_value_of_shares(stuck, stuck, 0.5) == 1


def test_what_is_not_seen_can_be_as_many_as_hide_in_one_of_twenty_cases():
    assert unseen(8, 0.95) == pytest.approx(0.312, abs=0.001)
    assert (1 - unseen(4, 0.95)) ** 4 == pytest.approx(0.05)
