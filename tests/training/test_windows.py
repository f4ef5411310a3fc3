"""How many steps are read at once."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples
from unroll.training.windows import SHORTEST, even, varied


@given(st.integers(1, 2_000), st.integers(1, 90))
def test_even_windows_cover_the_stream(length, time_steps):
    found = even(length, time_steps)
    assert sum(found) == length
    assert found[:-1] == [time_steps] * (len(found) - 1)
    assert 0 < found[-1] <= time_steps


@few_examples
@given(st.integers(1, 5_000), st.integers(1, 90), st.integers(1, 50))
def test_varied_windows_cover_the_stream_with_as_many_in_every_epoch(length, time_steps, epoch):
    first, found = varied(length, time_steps, 1), varied(length, time_steps, epoch)
    assert sum(found) == length
    assert Counter(found) == Counter(first)
    assert sum(steps < SHORTEST for steps in found) <= 1  # what was left


def test_varied_windows_are_about_as_long_as_asked_for_and_some_half_of_it():
    found = np.array(varied(200_000, 70, 1))
    assert abs(found.mean() - (0.95 * 70 + 0.05 * 35)) < 1
    assert 0.03 < (found < 50).mean() < 0.07
    assert 4 < found[found > 50].std() < 6


def test_another_epoch_has_another_order_and_the_same_epoch_the_same():
    assert varied(5_000, 35, 1) != varied(5_000, 35, 2)
    assert varied(5_000, 35, 2) == varied(5_000, 35, 2)
