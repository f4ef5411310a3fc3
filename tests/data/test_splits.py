from collections import Counter

import numpy as np
import pytest

from unroll.data.sequences import SPLITS
from unroll.data.splits import splits_of
from unroll.errors import DataError
from unroll.seeds import numpy_generator

THINGS = [f"w{i}" for i in range(50)]


def drawn(valid: int = 7, test: int = 5, seed: int = 0, things=THINGS) -> dict[str, str]:
    return splits_of(things, valid, test, numpy_generator(seed, "splits"), "words of a.txt")


def test_each_thing_stands_in_one_split_and_the_splits_have_their_sizes():
    of = drawn()
    assert sorted(of) == sorted(THINGS)
    assert Counter(of.values()) == {"train": 38, "valid": 7, "test": 5}


def test_the_same_generator_draws_the_same_splits_and_another_others():
    assert drawn() == drawn() != drawn(seed=1)


def test_valid_may_grow_and_test_stays():
    """Who asks for more of validation does not change on what he is judged."""
    few, many = drawn(valid=7), drawn(valid=20)
    assert [t for t in THINGS if few[t] == "test"] == [t for t in THINGS if many[t] == "test"]


def test_each_thing_is_as_likely_to_be_held_out():
    random = np.random.default_rng(0)
    times = Counter()
    for _ in range(400):
        of = splits_of(THINGS, 10, 10, random, "words")
        times.update(thing for thing in THINGS if of[thing] == "test")
    # 80 of 400 are expected, with a standard deviation of 8.
    assert all(45 < times[thing] < 115 for thing in THINGS)


def test_one_thing_is_enough_for_train():
    assert Counter(drawn(2, 1, things=list("abcd")).values())["train"] == 1


@pytest.mark.parametrize("things", [[], list("abc"), list("ab")])
def test_too_few_are_refused(things):
    with pytest.raises(DataError) as caught:
        drawn(2, 1, things=things)
    assert str(caught.value) == (
        f"words of a.txt: {len(things)} that are different and short enough, but valid and test "
        "ask for 3"
    )


def test_large_counts_are_written_with_commas():
    with pytest.raises(DataError, match=r"50 that are .* ask for 1,500"):
        drawn(1_000, 500)


def test_splits_are_those_that_data_have():
    assert set(drawn().values()) == set(SPLITS)
