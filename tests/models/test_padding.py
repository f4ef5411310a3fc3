import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import BLANK_ID, few_examples, lines
from unroll.models.padding import answered, before, reverse, scored, text_lengths


def test_lengths_leave_out_blanks_at_the_end_only():
    found = text_lengths(lines("12  ", "1 2 ", " 12 ", "1234", "    "), BLANK_ID)
    assert found.tolist() == [2, 3, 3, 4, 0]


def test_before_marks_the_steps_before_each_length():
    assert before(torch.tensor([0, 2, 3]), 3).int().tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_reverse_without_lengths_moves_blanks_to_the_front():
    assert torch.equal(reverse(lines("12  ", "1234")), lines("  21", "4321"))


def test_reverse_with_lengths_leaves_blanks_at_the_end():
    source = lines("12  ", "1234", "1 2 ")
    expected = lines("21  ", "4321", "2 1 ")
    assert torch.equal(reverse(source, text_lengths(source, BLANK_ID)), expected)


@few_examples
@given(st.lists(st.text("0123456789 ", min_size=6, max_size=6), min_size=1, max_size=5))
def test_reversing_twice_gives_the_text_back(texts):
    source = lines(*texts)
    lengths = text_lengths(source, BLANK_ID)
    assert torch.equal(reverse(reverse(source, lengths), lengths), source)
    for text, length, row in zip(texts, lengths, reverse(source, lengths), strict=True):
        assert length == len(text.rstrip(" "))
        assert torch.equal(row, lines(text.rstrip(" ")[::-1].ljust(6))[0])


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        ("plain", [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]),
        ("masked", [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]),
    ],
)
def test_masked_scores_an_answer_and_the_blank_that_ends_it(padding, expected):
    found = scored(lines("7   ", "123 ", "1234"), BLANK_ID, padding)
    assert found.int().tolist() == expected


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        ("plain", [[1, 1, 1, 1]] * 6),
        (
            "masked",
            [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]],
        ),
    ],
)
def test_an_answer_of_a_masked_model_ends_with_its_first_blank(padding, expected):
    found = answered(lines("7   ", "123 ", "1234", "1 2 ", " 123", "    "), BLANK_ID, padding)
    assert found.dtype == torch.bool
    assert found.int().tolist() == expected


answers = st.integers(1, 8).flatmap(
    lambda size: st.lists(st.text("01 ", min_size=size, max_size=size), min_size=1, max_size=5)
)


@few_examples
@given(answers)
def test_what_is_answered_is_each_text_cut_at_its_first_blank(texts):
    mask = answered(lines(*texts), BLANK_ID, "masked")
    for text, row in zip(texts, mask.tolist(), strict=True):
        kept = "".join(symbol for symbol, counts in zip(text, row, strict=True) if counts)
        head, blank, _ = text.partition(" ")
        assert kept == head + blank


@few_examples
@given(answers, st.sampled_from(["plain", "masked"]))
def test_what_is_answered_is_what_is_scored_where_blanks_stand_at_the_end_alone(texts, padding):
    ids = lines(*(text.replace(" ", "").ljust(len(text)) for text in texts))
    assert torch.equal(answered(ids, BLANK_ID, padding), scored(ids, BLANK_ID, padding))
