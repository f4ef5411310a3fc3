import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.toys import few_examples
from unroll.data.properties import of_bands, of_values
from unroll.evaluation.breakdown import (
    COLUMNS,
    answer_length,
    by_position,
    of_answers,
    of_confusion,
    of_losses,
    of_mistakes,
)

RIGHT = np.array([1, 0, 1, 1])
CONFIDENCE = np.array([0.95, 0.12, 1.0, 0.18])


def rows(table: pd.DataFrame, name: str) -> list[tuple]:
    chosen = table[table["property"] == name].drop(columns="property")
    return list(chosen.itertuples(index=False, name=None))


def test_answers_are_counted_by_class_and_by_confidence():
    table = of_answers([of_values("carries", [0, 2, 2, 0])], RIGHT, CONFIDENCE)
    assert list(table.columns) == COLUMNS
    assert rows(table, "carries") == [
        ("0", 2, 1.0, pytest.approx(0.565)),
        ("2", 2, 0.5, pytest.approx(0.56)),
    ]
    assert rows(table, "confidence") == [
        ("0.1–0.2", 2, 0.5, pytest.approx(0.15)),
        ("0.9–1.0", 2, 1.0, pytest.approx(0.975)),
    ]


def test_an_answer_is_as_long_as_it_has_symbols():
    table = of_answers([answer_length(["1", "22", "33", "4"])], RIGHT, CONFIDENCE)
    assert [row[:3] for row in rows(table, "answer length")] == [("1", 2, 1.0), ("2", 2, 0.5)]


def test_a_position_counts_the_answers_that_were_right_before_it():
    wrong = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [0, 0, 1]], bool)
    table = by_position(wrong, np.ones_like(wrong), CONFIDENCE)
    assert [
        (value, items, right) for value, items, right, _ in rows(table, "first wrong symbol")
    ] == [
        ("1", 4, 0.75),
        ("2", 3, pytest.approx(2 / 3)),
        ("3", 2, 0.5),
    ]


@few_examples
@given(arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 5))))
def test_the_shares_of_all_positions_multiply_to_the_exact_match(wrong):
    table = by_position(wrong, np.ones_like(wrong), np.ones(len(wrong)))
    assert table["mean"].prod() == pytest.approx((~wrong.any(axis=1)).mean())


def test_symbols_that_do_not_count_are_not_reached():
    wrong = np.zeros((2, 3), bool)
    counts = np.array([[1, 1, 0], [1, 0, 0]], bool)
    assert by_position(wrong, counts, np.ones(2))["items"].tolist() == [2, 1]


def test_mistakes_are_counted_by_their_names():
    def name(expected: str, answered: str) -> str:
        return f"{int(answered) - int(expected):+d}"

    table = of_mistakes(name, ["5", "6", "7"], ["6", "5", "8"], np.array([0.2, 0.5, 0.4]))
    assert rows(table, "mistake") == [
        ("+1", 2, 0.0, pytest.approx(0.3)),
        ("-1", 1, 0.0, pytest.approx(0.5)),
    ]
    assert of_mistakes(name, [], [], np.array([])).empty


def test_losses_are_broken_down_as_perplexities():
    tokens, positions = np.array([1, 2, 0, 1, 0]), np.array([1, 2, 3, 1, 2])
    times = np.array([1, 12, 1])  # that each word stands in train
    losses = np.log(np.array([2.0, 8.0, 4.0, 2.0, 16.0]))
    properties = [
        of_bands("times in train", times[::-1][tokens], (0, 1, 10)),
        of_values("position in sentence", positions),
    ]
    table = of_losses(properties, losses)
    assert list(table.columns) == COLUMNS
    assert table["confidence"].isna().all()
    assert [row[:3] for row in rows(table, "times in train")] == [
        ("1–9", 3, pytest.approx(8.0)),
        ("10–", 2, pytest.approx(2.0)),
    ]
    assert [row[:3] for row in rows(table, "position in sentence")] == [
        ("1", 2, pytest.approx(2.0)),
        ("2", 2, pytest.approx(np.sqrt(8 * 16))),
        ("3", 1, pytest.approx(4.0)),
    ]
    # The geometric mean over all classes is the perplexity.
    for _, group in table.groupby("property"):
        assert np.average(np.log(group["mean"]), weights=group["items"]) == pytest.approx(
            losses.mean()
        )


def test_a_confusion_counts_each_answer_to_each_label_in_their_order():
    expected = ["pos", "neg", "pos", "odd", "pos", "neg"]
    answered = ["pos", "pos", "neg", "pos", "pos", "neg"]
    table = of_confusion(expected, answered, np.array([0.9, 0.6, 0.5, 0.4, 0.7, 0.8]))
    assert list(table.columns) == COLUMNS
    assert set(table["property"]) == {"label × answer"}
    assert rows(table, "label × answer") == [
        ("neg × neg", 1, 1.0, pytest.approx(0.8)),
        ("neg × pos", 1, 0.0, pytest.approx(0.6)),
        ("odd × pos", 1, 0.0, pytest.approx(0.4)),
        ("pos × neg", 1, 0.0, pytest.approx(0.5)),
        ("pos × pos", 2, 1.0, pytest.approx(0.8)),
    ]


@few_examples
@given(st.lists(st.tuples(*[st.sampled_from(["a", "b", "c d", "1"])] * 2), min_size=1, max_size=30))
def test_a_confusion_has_each_item_once_and_the_right_ones_on_its_diagonal(pairs):
    expected, answered = zip(*pairs, strict=True)
    table = of_confusion(expected, answered, np.ones(len(pairs)))
    assert table["items"].sum() == len(pairs)
    right = sum(one == other for one, other in pairs)
    assert (table["items"] * table["mean"]).sum() == right
    assert (table["items"] > 0).all() and table["value"].is_unique
    assert {tuple(value.split(" × ")) for value in table["value"]} == set(pairs)


def test_a_label_that_begins_as_another_is_not_taken_for_it():
    table = of_confusion(["a", "a b"], ["a b", "a"], np.ones(2))
    assert table["value"].tolist() == ["a × a b", "a b × a"]
    assert table["items"].tolist() == [1, 1]
