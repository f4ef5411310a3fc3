"""Curricula by hand: of how many pairs of each level an epoch is made."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples, pairs_options
from unroll.training.curricula import CURRICULA, chosen

FOUR = np.arange(1, 5)
OPTION = ["all", *CURRICULA]


def shares(curriculum: str, progress: float, levels=FOUR) -> list[float]:
    return CURRICULA[curriculum](levels, progress).tolist()


@pytest.mark.parametrize("name", OPTION)
def test_each_curriculum_can_be_chosen_by_its_name(name):
    assert pairs_options(curriculum=name).curriculum == name


@pytest.mark.parametrize("progress", [0, 0.3, 0.99])
def test_the_hardest_level_is_all_that_there_is(progress):
    assert shares("hardest", progress) == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("progress", "level"),
    [(0, 1), (0.124, 1), (0.125, 2), (0.249, 2), (0.25, 3), (0.375, 4), (0.5, 4), (0.75, 4),
     (0.99, 4), (1, 4)],
)  # fmt: skip
def test_naive_climbs_to_the_hardest_level_in_the_first_half(progress, level):
    assert shares("naive", progress) == (level == FOUR).astype(float).tolist()


def test_naive_stays_as_long_on_each_level_whatever_their_number():
    six = np.arange(1, 7)
    on = [int(np.argmax(CURRICULA["naive"](six, epoch / 24))) + 1 for epoch in range(24)]
    assert on == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, *[6] * 14]


@pytest.mark.parametrize("progress", [0, 0.3, 0.99])
def test_mixed_has_as_much_of_each(progress):
    assert shares("mixed", progress) == [0.25] * 4


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (0, [0.625, 0.125, 0.125, 0.125]),
        (0.125, [0.125, 0.625, 0.125, 0.125]),
        (0.3, [0.125, 0.125, 0.625, 0.125]),
        (0.8, [0.125, 0.125, 0.125, 0.625]),
    ],
)
def test_combined_is_half_naive_and_half_mixed(progress, expected):
    assert shares("combined", progress) == expected


@pytest.mark.parametrize("name", CURRICULA)
def test_of_one_level_all_is_had(name):
    assert [shares(name, progress, np.array([1])) for progress in (0, 0.5, 1)] == [[1]] * 3


# The pairs of an epoch

LEVELS = np.array([2, 1, 3, 3, 1, 3, 2, 3, 3, 3, 1, 2, 3, 3])  # 3, 3 and 8 of them


def drawn(curriculum: str, progress: float, seed: int = 0, levels=LEVELS) -> np.ndarray:
    return chosen(levels, curriculum, progress, np.random.default_rng(seed))


def of_levels(rows: np.ndarray, levels=LEVELS) -> dict[int, int]:
    return dict(Counter(levels[rows].tolist()))


@pytest.mark.parametrize(
    ("curriculum", "progress", "expected"),
    [
        ("hardest", 0, {3: 8}),
        ("naive", 0, {1: 8}),
        ("naive", 0.2, {2: 8}),
        ("naive", 0.9, {3: 8}),
        ("mixed", 0.9, {1: 3, 2: 2, 3: 3}),  # 2.67, 5.33 and 8 in all, rounded
        ("combined", 0, {1: 5, 2: 2, 3: 1}),  # 5.33, 6.67 and 8
        ("combined", 0.9, {1: 1, 2: 2, 3: 5}),
    ],
)
def test_an_epoch_has_as_many_pairs_as_the_hardest_level_in_their_shares(
    curriculum, progress, expected
):
    assert of_levels(drawn(curriculum, progress)) == expected


def test_a_level_of_fewer_pairs_comes_as_a_whole_before_one_comes_again():
    found = Counter(drawn("naive", 0).tolist())
    assert found.keys() == {1, 4, 10}
    assert sorted(found.values()) == [2, 3, 3]


def test_of_the_hardest_level_each_pair_comes_once():
    assert sorted(drawn("hardest", 0).tolist()) == np.flatnonzero(LEVELS == 3).tolist()


some_sizes = st.lists(st.integers(1, 12), min_size=1, max_size=6)


@few_examples
@given(some_sizes, st.sampled_from(list(CURRICULA)), st.floats(0, 1), st.integers(0, 100))
def test_no_pair_comes_twice_before_all_of_its_level_have_come(sizes, curriculum, progress, seed):
    levels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)) + 1, sizes))
    rows = drawn(curriculum, progress, seed, levels)
    assert len(rows) == sizes[-1]
    times = Counter(rows.tolist())
    shared = CURRICULA[curriculum](np.arange(len(sizes)) + 1, progress)
    for level, size in enumerate(sizes, 1):
        each = [times[row] for row in np.flatnonzero(levels == level).tolist()]
        assert max(each) - min(each) <= 1
        assert abs(sum(each) - shared[level - 1] * sizes[-1]) <= 1
        assert len(each) == size


@pytest.mark.parametrize("curriculum", CURRICULA)
def test_the_generator_decides_which_pairs_of_a_level_come(curriculum):
    levels = np.repeat(FOUR, 20)
    first, again, other = (drawn(curriculum, 0.1, seed, levels) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert of_levels(first, levels) == of_levels(other, levels)
