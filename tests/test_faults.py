"""What is wrong with a params file, in words."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from unroll.errors import UserError
from unroll.faults import nearest, pick, unknown_keys, validate
from unroll.options import Strict


class Oven(Strict):
    """Something to be set."""

    dish: str
    degrees: Annotated[int, Field(ge=50, le=250)] = 180
    heat: Literal["above", "below"] = "below"
    minutes: Literal["auto"] | int = "auto"
    shelves: list[Annotated[int, Field(ge=1)]] = []  # noqa: RUF012 - pydantic copies it

    @model_validator(mode="after")
    def _not_burnt(self) -> "Oven":
        if self.degrees == 250 and self.heat == "above":
            raise ValueError("heat: must be below where degrees is 250")
        return self


def faults_of(value, places=None):
    faults = []
    found = validate(Oven, value, "kitchen.oven", faults, places)
    assert (found is None) == bool(faults)
    return faults


def test_what_is_right_is_returned_and_no_fault_noted():
    faults = ["an earlier one"]
    assert validate(Oven, {"dish": "pie"}, "oven", faults) == Oven(dish="pie")
    assert faults == ["an earlier one"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"dish": "pie", "degree": 200}, ["degree: unknown key (did you mean degrees?)"]),
        ({"dish": "pie", "x": 1}, ["x: unknown key"]),
        ({}, ["dish: missing"]),
        ({"dihs": "pie"}, ["dihs: unknown key (did you mean dish?)"]),
        ({"dish": 3}, ["dish: input should be a valid string, not 3"]),
        (
            {"dish": "pie", "degrees": 20},
            ["degrees: input should be greater than or equal to 50, not 20"],
        ),
        (
            {"dish": "pie", "heat": "bellow"},
            ["heat: input should be 'above' or 'below', not 'bellow' (did you mean below?)"],
        ),
        (
            {"dish": "pie", "minutes": "atuo"},
            [
                "minutes: input should be 'auto', or input should be a valid integer, "
                "not 'atuo' (did you mean auto?)"
            ],
        ),
        (
            {"dish": "pie", "shelves": [1, 0, 2, -1]},
            [
                "shelves.1: input should be greater than or equal to 1, not 0",
                "shelves.3: input should be greater than or equal to 1, not -1",
            ],
        ),
        (
            {"dish": "pie", "degrees": 250, "heat": "above"},
            ["heat: must be below where degrees is 250"],
        ),
        (
            {"degrees": 20, "heat": 3},
            [
                "dish: missing",
                "degrees: input should be greater than or equal to 50, not 20",
                "heat: input should be 'above' or 'below', not 3",
            ],
        ),
    ],
    ids=[
        "a misspelt key",
        "a key like no other",
        "a missing key",
        "a missing key that is there, misspelt",
        "a wrong type",
        "a number out of range",
        "a misspelt word",
        "a value of several types",
        "places in a list",
        "two keys that do not go together",
        "all at once",
    ],
)
def test_each_fault_is_one_line_with_its_place(value, expected):
    assert faults_of(value) == [f"kitchen.oven.{line}" for line in expected]


def test_what_is_no_section_at_all_is_named():
    [fault] = faults_of(3)
    assert fault.startswith("kitchen.oven: input should be a valid dictionary")
    assert fault.endswith(", not 3")


def test_a_value_is_shown_in_a_few_words():
    [fault] = faults_of({"dish": list(range(10_000))})
    assert fault == "kitchen.oven.dish: input should be a valid string, not [0, 1, 2, 3, 4, 5, ...]"


def test_a_key_that_stands_elsewhere_is_named_there_and_once():
    value, places = {"dish": "pie", "degrees": 20}, {"degrees": "defaults"}
    line = "defaults.degrees: input should be greater than or equal to 50, not 20"
    assert faults_of(value, places) == [line]
    faults = [line]
    validate(Oven, value, "kitchen.oven", faults, places)
    assert faults == [line]


def test_keys_that_are_not_known_are_named_in_their_order():
    found = unknown_keys({"dish": 1, "heta": 1, 3: 1, "dsh": 1}, ("dish", "heat"))
    assert found == [
        "3: unknown key",
        "dsh: unknown key (did you mean dish?)",
        "heta: unknown key (did you mean heat?)",
    ]
    assert unknown_keys({"heat": 1}, ("dish", "heat")) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("peaky", " (did you mean peeky?)"),
        ("pee", " (did you mean peeky?)"),
        ("attention", ""),
        ("", ""),
        (3, ""),
        (None, ""),
    ],
)
def test_the_nearest_name_is_that_which_may_have_been_meant(name, hint):
    assert nearest(name, ["plain", "peeky"]) == hint


def test_an_entry_is_picked_by_its_name_or_all_names_are_told():
    entries = {"plain": 1, "peeky": 2}
    assert pick(entries, "peeky", "variant", "params.yaml") == 2
    with pytest.raises(UserError) as caught:
        pick(entries, "peaky", "variant", "params.yaml")
    assert str(caught.value) == (
        "params.yaml has no variant 'peaky' (did you mean peeky?); it has plain, peeky"
    )
