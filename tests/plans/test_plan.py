"""The numbers of a plan and its file."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models.toys import few_examples
from unroll.errors import DataError
from unroll.plans.plan import (
    NOTHING,
    plan_digest,
    projection,
    projections,
    read_plan,
    rounded,
    write_plan,
)

numbers = st.floats(min_value=-1e6, max_value=1e6)


def test_numbers_are_rounded_to_six_digits_wherever_they_stand() -> None:
    value = {"a": 1.23456789, "b": [123456.789, (1e-3 / 3,)], "c": {"d": -2 / 3}}
    assert rounded(value) == {"a": 1.23457, "b": [123457.0, [0.000333333]], "c": {"d": -0.666667}}


def test_what_is_no_fraction_stays_as_it_is() -> None:
    value = {"name": "rnn", "yes": True, "none": None, "count": 1_234_567}
    assert rounded(value) == value
    assert rounded(value)["yes"] is True


def test_remainders_of_sums_that_cancel_are_nothing() -> None:
    assert rounded(NOTHING / 2) == rounded(-NOTHING / 2) == 0.0
    assert math.copysign(1, rounded(-NOTHING / 2)) == 1  # -0.0 would be another text in the file
    assert rounded(2 * NOTHING) == 2 * NOTHING


@few_examples
@given(numbers)
def test_rounding_again_changes_nothing_and_moves_little(value: float) -> None:
    once = rounded(value)
    assert rounded(once) == once
    assert abs(once - value) <= max(5e-6 * abs(value), NOTHING)


@few_examples
@given(st.lists(numbers, min_size=2, max_size=6), st.data())
def test_a_projection_knows_every_number_and_its_place(values: list[float], data: st.DataObject):
    x = torch.tensor(values, dtype=torch.float64)
    i = data.draw(st.integers(0, len(values) - 1))
    other = x.clone()
    other[i] += 1.0
    assert projection(other) != projection(x)
    swapped = x.flip(0)
    if (swapped - x).abs().max() > 1e-6:  # what is less, rounding may hide
        assert projection(swapped) != projection(x)


def test_a_projection_is_that_on_sines() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, -4.0]], dtype=torch.float64)
    expected = math.sin(1) + 2 * math.sin(2) + 3 * math.sin(3) - 4 * math.sin(4)
    assert projection(x) == pytest.approx(expected, rel=1e-14)
    assert projection(torch.empty(0)) == 0.0


def test_projections_are_of_each_parameter_and_shared_ones_count_once() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 3), "b": nn.Linear(2, 3)})
    assert list(projections(model)) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    model["b"].weight = model["a"].weight
    assert list(projections(model)) == ["a.weight", "a.bias", "b.bias"]


def test_the_digest_is_of_all_but_the_seeds() -> None:
    plan = {"seeds": [0, 1], "options": {"layers": 1}, "behaviour": {"loss": 1.5}}
    assert plan_digest({**plan, "seeds": [0, 1, 2]}) == plan_digest(plan)
    assert plan_digest(dict(reversed(plan.items()))) == plan_digest(plan)
    for change in ({"options": {"layers": 2}}, {"behaviour": {"loss": 1.6}}, {"torch": "3"}):
        assert plan_digest({**plan, **change}) != plan_digest(plan)


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    plan = {"seeds": [0], "behaviour": {"loss": rounded(1 / 3), "types": ["torch.float32"]}}
    write_plan(tmp_path / "v.json", plan)
    assert read_plan(tmp_path / "v.json") == plan


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"behaviour": 3}', '{"behaviour": {}', "\x00"])
def test_a_damaged_file_is_no_plan(tmp_path: Path, text: str) -> None:
    path = tmp_path / "v.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"v\.json"):
        read_plan(path)


def test_a_missing_file_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"v\.json"):
        read_plan(tmp_path / "v.json")
