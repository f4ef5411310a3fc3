"""Learning-rate schedules (those of SGD's steps: test_optimisation.py)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.training.schedules import SCHEDULES, cosine, on_plateau


@pytest.mark.parametrize("steps", [1, 2, 7, 100])
def test_a_cosine_falls_from_one_to_nearly_nothing(steps):
    found = [cosine(step, steps) for step in range(steps)]
    expected = [(1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)]
    assert found == pytest.approx(expected)
    assert found[0] == 1 and min(found) > 0


@pytest.mark.parametrize(
    ("validations", "share"),
    [
        ([], 1),
        ([5.0], 1),
        ([5.0, 4.0, 3.0], 1),
        ([5.0, 5.0], 1 / 4),  # as good is no better
        ([5.0, 6.0, 5.5], 1 / 16),  # better than the one before, and not than the best
        ([5.0, 6.0, 4.0, 3.0, 3.5], 1 / 16),
    ],
)
def test_on_a_plateau_the_rate_is_divided_by_four(validations, share):
    assert on_plateau(7, 100, validations) == share


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 50), st.lists(st.floats(1, 9)), st.data())
def test_every_share_is_above_zero_and_at_most_one(name, steps, validations, data):
    step = data.draw(st.integers(0, steps - 1))
    assert 0 < SCHEDULES[name](step, steps, validations[:20]) <= 1
