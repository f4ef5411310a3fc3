import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import BLANK_ID, few_examples, lengths_of, lines
from unroll.models.padding import PADDINGS, before, doubled, reverse

PLAIN, MASKED = PADDINGS["plain"], PADDINGS["masked"]
LENGTHS = torch.tensor([2, 4, 3])


def test_plain_looks_at_all_steps_and_hides_no_length_to_a_model():
    assert PLAIN.width(LENGTHS, 6) == 6
    assert PLAIN.lengths(LENGTHS) is None
    assert PLAIN.counts(LENGTHS, 5).tolist() == [[True] * 5] * 3
    assert PLAIN.answered(lines("7   ", "    "), BLANK_ID).tolist() == [[True] * 4] * 2
    assert PLAIN.end(BLANK_ID) is None


def test_masked_looks_at_the_steps_of_the_longest_and_tells_a_model_the_lengths():
    assert MASKED.width(LENGTHS, 6) == 4
    assert torch.equal(MASKED.lengths(LENGTHS), LENGTHS)
    assert MASKED.counts(LENGTHS, 5).int().tolist() == [
        [1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 0, 0],
    ]
    assert MASKED.end(BLANK_ID) == BLANK_ID


@pytest.mark.parametrize("padding", PADDINGS.values(), ids=PADDINGS.keys())
def test_what_counts_is_a_mask_that_selects(padding):
    assert padding.counts(LENGTHS, 5).dtype == torch.bool
    assert padding.answered(lines("7   "), BLANK_ID).dtype == torch.bool


def test_before_marks_the_steps_before_each_length():
    assert before(torch.tensor([0, 2, 3]), 3).int().tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_reverse_without_lengths_moves_blanks_to_the_front():
    assert torch.equal(reverse(lines("12  ", "1234")), lines("  21", "4321"))


def test_reverse_with_lengths_leaves_blanks_at_the_end():
    texts = ("12  ", "1234", "1 2 ")
    assert torch.equal(reverse(lines(*texts), lengths_of(*texts)), lines("21  ", "4321", "2 1 "))


@few_examples
@given(st.lists(st.text("0123456789 ", min_size=6, max_size=6), min_size=1, max_size=5))
def test_reversing_twice_gives_the_text_back(texts):
    source, lengths = lines(*texts), lengths_of(*texts)
    assert torch.equal(reverse(reverse(source, lengths), lengths), source)
    for text, row in zip(texts, reverse(source, lengths), strict=True):
        assert torch.equal(row, lines(text.rstrip(" ")[::-1].ljust(6))[0])


def test_doubled_without_lengths_repeats_blanks_too():
    found = doubled(lines("12  ", "1234"))
    assert torch.equal(found, lines("12  12  ", "12341234"))


def test_doubled_with_lengths_leaves_blanks_at_the_end():
    texts = ("12  ", "1234", "1 2 ", "7   ")
    found = doubled(lines(*texts), lengths_of(*texts))
    assert torch.equal(found, lines("1212    ", "12341234", "1 21 2  ", "77      "))


@few_examples
@given(st.lists(st.from_regex(r"[0-9][0-9 ]{0,5}", fullmatch=True), min_size=1, max_size=5))
def test_doubling_is_reading_a_text_after_itself(texts):
    texts = [text.ljust(6) for text in texts]
    for text, row in zip(texts, doubled(lines(*texts), lengths_of(*texts)), strict=True):
        assert torch.equal(row, lines((text.rstrip(" ") * 2).ljust(12))[0])
    for text, row in zip(texts, doubled(lines(*texts)), strict=True):
        assert torch.equal(row, lines(text * 2)[0])


def test_an_answer_of_a_masked_model_ends_with_its_first_end_symbol():
    found = MASKED.answered(lines("7   ", "123 ", "1234", "1 2 ", " 123", "    "), BLANK_ID)
    assert found.int().tolist() == [
        [1, 1, 0, 0],
        [1, 1, 1, 1],
        [1, 1, 1, 1],
        [1, 1, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 0],
    ]


answers = st.integers(1, 8).flatmap(
    lambda size: st.lists(st.text("01 ", min_size=size, max_size=size), min_size=1, max_size=5)
)


@few_examples
@given(answers)
def test_what_is_answered_is_each_text_cut_after_its_first_end_symbol(texts):
    mask = MASKED.answered(lines(*texts), BLANK_ID)
    for text, row in zip(texts, mask.tolist(), strict=True):
        kept = "".join(symbol for symbol, counts in zip(text, row, strict=True) if counts)
        head, end, _ = text.partition(" ")
        assert kept == head + end


@few_examples
@given(answers, st.sampled_from(list(PADDINGS)))
def test_what_is_answered_is_what_counts_where_only_the_end_is_filled(texts, padding):
    padded = [text.replace(" ", "").ljust(len(text)) for text in texts]
    width = len(padded[0])
    lengths = (lengths_of(*padded) + 1).clamp_max(width)  # the end symbol is one of them
    found = PADDINGS[padding].answered(lines(*padded), BLANK_ID)
    assert torch.equal(found, PADDINGS[padding].counts(lengths, width))
