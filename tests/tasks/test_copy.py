from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.toys import few_examples
from unroll import tasks
from unroll.data.sequences import SPLITS
from unroll.errors import UserError
from unroll.tasks.copy import DIGITS, Copy, CopyOptions


def copying(**options) -> Copy:
    return Copy(CopyOptions.model_validate({"kind": "copy", **options}))


def rows(data, *splits):
    return [row for s in splits for row in zip(data.questions(s), data.answers(s), strict=True)]


def test_copying_is_found_by_its_name():
    assert tasks.named("copy") is Copy
    assert (Copy.kind, Copy.has_levels) == ("pairs", False)


def test_known_seed_gives_known_sequences():
    data = copying(shortest=2, longest=4, train=3, valid=1, test=1).prepare()
    assert {split: data.questions(split) for split in SPLITS} == {
        "train": ["09", "072", "693"],
        "valid": ["1639"],
        "test": ["9692"],
    }


@few_examples
@given(
    shortest=st.integers(2, 5),
    more=st.integers(0, 5),
    sizes=st.tuples(*[st.integers(1, 15)] * 3),
    seed=st.integers(0, 2**40),
)
def test_sequences_are_all_different_and_answered_by_themselves(shortest, more, sizes, seed):
    counts = dict(zip(SPLITS, sizes, strict=True))
    longest = shortest + more
    data = copying(shortest=shortest, longest=longest, seed=seed, **counts).prepare()
    assert {split: len(data.questions(split)) for split in SPLITS} == counts
    assert data.facts == {"counts": counts}
    found = rows(data, *SPLITS)
    assert all(text == answer for text, answer in found)
    assert all(shortest <= len(text) <= longest and set(text) <= set(DIGITS) for text, _ in found)
    assert len({text for text, _ in found}) == len(found)


def test_each_length_is_drawn_about_as_often_in_every_split():
    data = copying(train=2_000, valid=400, test=400).prepare()
    for split, size in {"train": 2_000, "valid": 400, "test": 400}.items():
        found = Counter(len(text) for text in data.questions(split))
        assert found.keys() == set(range(5, 13))
        assert max(abs(count - size / 8) for count in found.values()) < 5 * (size / 8) ** 0.5


def test_the_same_seed_draws_the_same_sequences_and_another_others():
    sizes = {"train": 20, "valid": 5, "test": 5}
    first, again, other = (rows(copying(**sizes, seed=s).prepare(), *SPLITS) for s in (1, 1, 2))
    assert first == again
    assert not set(first) & set(other)


def test_all_digits_are_known_however_few_are_drawn():
    form = copying(shortest=1, longest=1, train=1, valid=1, test=1).prepare().form
    for vocabulary in (form.source, form.answers):
        assert set(vocabulary.symbols) == {*DIGITS, *vocabulary.special.values()}


def test_half_of_the_sequences_that_there_are_can_be_had():
    data = copying(shortest=1, longest=1, train=3, valid=1, test=1).prepare()
    assert len({text for text, _ in rows(data, *SPLITS)}) == 5


@pytest.mark.parametrize(
    "options",
    [
        {"shortest": 1, "longest": 1, "train": 4, "valid": 1, "test": 1},
        {"shortest": 2, "longest": 3, "train": 99, "valid": 1, "test": 1},
        {"shortest": 6, "longest": 5},
    ],
)
def test_more_sequences_than_there_are_is_named_with_the_way_out(options):
    with pytest.raises(UserError) as caught:
        copying(**options).prepare()
    assert str(caught.value) == (
        "shortest, longest: there are too few sequences of these lengths for train, valid and "
        "test; raise shortest, or lower these"
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "wrong",
    [{"shortest": 0}, {"shortest": 1_001}, {"longest": 0}, {"longest": 1_001}, {"train": 0},
     {"valid": 0}, {"test": 0}, {"seed": -1}, {"more": 1}],
)  # fmt: skip
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        copying(**wrong)


@pytest.mark.parametrize(
    ("text", "question"),
    [("271828", "271828"), (" 27 1\t8\n", "2718"), ("7", "7"), ("0" * 12, "0" * 12)],
)
def test_question_is_taken_without_blanks(text, question):
    assert copying().question(text) == question


@pytest.mark.parametrize("text", ["", " ", "1" * 13, "1a", "1.5", "-1", "１２", "²", "٧", "12\0"])
def test_what_is_no_question_is_refused_with_what_one_is(text):
    with pytest.raises(UserError) as caught:
        copying().question(text)
    assert str(caught.value) == (
        f"{text!r} is no question of this model; it takes 1 to 12 digits: 12345"
    )


@pytest.mark.parametrize("shortest", [1, 5, 10, 999, 1_000])
def test_its_example_is_a_question_of_the_shortest_length(shortest):
    task = copying(shortest=shortest, longest=1_000)
    assert task.question(task.example) == task.example
    assert len(task.example) == shortest


def test_sequences_are_classed_by_their_length():
    [length] = copying().properties(["12345", "1" * 12, "98765", "1" * 10])
    assert length.name == "length" and length.name in Copy.axes
    assert [length.labels[code] for code in length.codes] == ["5", "12", "5", "10"]
    assert length.labels == ("5", "10", "12")
