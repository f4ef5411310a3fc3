import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.toys import addition
from unroll.data.sequences import SPLITS
from unroll.errors import DataError, UserError
from unroll.tasks.addition import Addition

SUMS = [(16, 75), (52, 607), (75, 22), (63, 22), (795, 3), (706, 796)]
SUMS += [(8, 4), (84, 317), (9, 3), (6, 2), (18, 8), (85, 52)]


def line(first, second, answer=None):
    """Return a line of the book's format: `16+75  _91  `."""
    return f"{first}+{second}".ljust(7) + f"_{first + second if answer is None else answer}".ljust(
        5
    )


def prepare(**options):
    return addition(**options).prepare()


def from_file(folder, lines, end="\n", between="\n", **given):
    path = folder / "addition.txt"
    path.write_text(between.join(lines) + end, encoding="utf-8", newline="")
    return prepare(source=str(path), **{"valid": 5} | given)


def texts(pairs, split):
    """Return question and answer of each pair of a split."""
    return list(zip(pairs.questions(split), pairs.answers(split), strict=True))


def operands(pairs, split):
    return [tuple(map(int, question.split("+"))) for question, _ in texts(pairs, split)]


def test_known_seed_gives_known_questions():
    pairs = prepare(train=3, valid=2, test=1)
    assert texts(pairs, "train") == [("3+1", "4"), ("1+66", "67"), ("6+5", "11")]
    assert texts(pairs, "valid") == [("4+324", "328"), ("23+7", "30")]
    assert texts(pairs, "test") == [("5+13", "18")]


def test_generated_pairs_have_fixed_ids_and_lengths():
    pairs = prepare(train=3, valid=2, test=1)
    assert pairs.form.source.symbols == list("0123456789+ _")
    assert pairs.sources["train"].ids[0].tolist() == [3, 10, 1, 11, 11, 11, 11]
    assert pairs.targets["train"].ids[0].tolist() == [12, 4, 11, 11, 11]
    assert (pairs.form.source_width, pairs.form.target_width) == (7, 5)
    assert pairs.form.source.special == {"pad": " ", "start": "_", "end": " "}
    assert pairs.form.target is None
    assert pairs.sources["train"].lengths.tolist() == [3, 4, 3]
    assert pairs.targets["train"].lengths.tolist() == [3, 4, 4]  # start and end count
    assert pairs.facts == {"counts": {"train": 3, "valid": 2, "test": 1}, "source": "generated"}


def test_short_questions_are_in_every_split_by_their_share():
    """There are 55 sums of one digit each: drawn early, they would all come into train."""
    pairs = prepare(train=900, valid=100, test=1_000)
    short = {s: sum(len(q) == 3 for q, _ in texts(pairs, s)) for s in SPLITS}
    assert sum(short.values()) == 55
    assert 15 <= short["test"] <= 40


def test_same_seed_gives_the_same_questions_and_another_others():
    first, again, other = (prepare(train=50, valid=5, test=5, seed=s) for s in (1, 1, 2))
    for split in SPLITS:
        assert texts(first, split) == texts(again, split)
        assert texts(first, split) != texts(other, split)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(min_value=0, max_value=2**32 - 1),
    max_digits=st.integers(min_value=1, max_value=9),
    counts=st.tuples(*[st.integers(min_value=1, max_value=15)] * 3),
)
def test_questions_are_all_different_also_when_swapped_and_sums_are_right(seed, max_digits, counts):
    sizes = dict(zip(SPLITS, counts, strict=True))
    pairs = prepare(max_digits=max_digits, seed=seed, **sizes)
    seen = set()
    for split in SPLITS:
        found = texts(pairs, split)
        assert len(found) == sizes[split]
        for question, answer in found:
            first, second = map(int, question.split("+"))
            assert max(first, second) < 10**max_digits
            assert answer == str(first + second)
            assert frozenset((first, second)) not in seen
            seen.add(frozenset((first, second)))


def test_every_question_there_is_can_be_had():
    pairs = prepare(max_digits=1, train=45, valid=5, test=5)
    found = {frozenset(pair) for split in SPLITS for pair in operands(pairs, split)}
    assert found == {frozenset((a, b)) for a in range(10) for b in range(10)}


def test_more_questions_than_there_are_is_named_with_the_way_out():
    with pytest.raises(UserError) as caught:
        prepare(max_digits=1, train=46, valid=5, test=5)
    assert str(caught.value) == (
        "56 different questions are asked for, but with max_digits: 1 there are only 55; "
        "lower train, valid or test, or raise max_digits"
    )
    assert caught.value.exit_code == 2


def test_operands_of_all_lengths_come_about_equally_often():
    # Drawn as 1 to 9 digits each; leading zeros make each length's share 0.10 to 0.12.
    pairs = prepare(max_digits=9, train=3000, valid=1, test=1)
    lengths = [len(str(n)) for pair in operands(pairs, "train") for n in pair]
    shares = np.bincount(lengths, minlength=10)[1:] / len(lengths)
    assert shares.min() > 0.08
    assert shares.max() < 0.15


@pytest.mark.parametrize(
    "wrong", [{"max_digits": 0}, {"max_digits": 10}, {"train": 0}, {"seed": -1}, {"seed": 2**32}]
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        addition(**wrong)


def test_symbols_of_a_file_are_numbered_by_first_appearance(tmp_path):
    pairs = from_file(tmp_path, [line(*pair) for pair in SUMS])
    assert pairs.form.source.symbols == list("16+75 _920384")


def test_lines_of_a_file_are_shuffled_and_split_as_in_the_book(tmp_path):
    pairs = from_file(tmp_path, [line(*pair) for pair in SUMS], seed=1984)
    # The book's dataset/sequence.py: np.random.seed(1984); np.random.shuffle(indices)
    order = [11, 7, 4, 1, 10, 5, 2, 0, 6, 8, 9, 3]
    assert operands(pairs, "train") == [SUMS[i] for i in order[:11]]
    assert operands(pairs, "test") == [SUMS[order[11]]]
    assert pairs.sources["train"].ids.shape == (11, 7)
    assert pairs.targets["train"].ids.shape == (11, 5)
    assert pairs.sources["train"].ids[7].tolist() == [0, 1, 2, 3, 4, 5, 5]  # 16+75
    assert pairs.targets["train"].ids[7].tolist() == [6, 7, 0, 5, 5]  # _91
    assert pairs.facts["counts"] == {"train": 11, "valid": 5, "test": 1}


def test_another_seed_shuffles_a_file_otherwise(tmp_path):
    lines = [line(*pair) for pair in SUMS]
    first, other = (from_file(tmp_path, lines, seed=seed) for seed in (1984, 1985))
    assert operands(first, "train") != operands(other, "train")


def test_last_line_of_a_file_needs_no_end(tmp_path):
    lines = [line(*pair) for pair in SUMS]
    with_end, without = (from_file(tmp_path, lines, end=end) for end in ("\n", ""))
    assert operands(with_end, "train") == operands(without, "train")


@settings(max_examples=20, deadline=None)
@given(left_out=st.sets(st.tuples(*[st.integers(0, 9)] * 2).map(sorted).map(tuple), min_size=1))
def test_validation_questions_are_none_of_the_file_also_when_swapped(tmp_path_factory, left_out):
    left_out = set(sorted(left_out)[:40])
    in_file = [(b, a) for a in range(10) for b in range(a, 10) if (a, b) not in left_out]
    lines = [f"{a}+{b}_{a + b}".ljust(6) for a, b in in_file]
    folder = tmp_path_factory.mktemp("book")
    pairs = from_file(folder, lines, max_digits=1, valid=len(left_out))
    assert {tuple(sorted(pair)) for pair in operands(pairs, "valid")} == left_out


def test_leading_zeros_of_a_file_are_kept_in_the_question(tmp_path):
    pairs = from_file(tmp_path, [f"007+{n:02} _{7 + n}" for n in range(10)])
    found = texts(pairs, "train") + texts(pairs, "test")
    assert sorted(found) == [(f"007+{n:02}", str(7 + n)) for n in range(10)]


BAD_LINES = {
    "wrong sum": (line(16, 75, 92), "16+75=92 is wrong"),
    "unknown symbol": ("16*75  _91  ", "unknown symbol '*'"),
    "letter": ("16+7x  _91  ", "unknown symbol 'x'"),
    "digit of another script": ("16+٧٥  _91  ", "unknown symbol '٥'"),
    "line end within a line": ("16+75\r _91  ", "unknown symbol '\\r'"),
    "empty": ("", "empty"),
    "blank": ("            ", "empty"),
    "long question": ("1600+7500_9100", "'1600+7500' has 9 symbols; at most 7 fit max_digits: 3"),
    "long answer": ("16+75  _91   ", "'91   ' has 5 symbols; at most 4 fit max_digits: 3"),
    "long operand": ("1000+5 _1005", "1000+5 has more than max_digits: 3"),
    "no start": ("16+75   91  ", "'16+75   91  ' has no '_' between question and answer"),
    "no plus": ("1675   _91  ", "'1675_91' is not of the form 16+75_91"),
    "two plus": ("1+6+7  _14  ", "'1+6+7_14' is not of the form 16+75_91"),
    "no operand": ("+75    _75  ", "'+75_75' is not of the form 16+75_91"),
    "no answer": ("16+75  _    ", "'16+75_' is not of the form 16+75_91"),
    "blank inside": ("1 +75  _76  ", "'1 +75_76' is not of the form 16+75_91"),
    "two starts": ("16+75  __91 ", "'16+75__91' is not of the form 16+75_91"),
}


@pytest.mark.parametrize(("bad", "fault"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_bad_line_is_named_with_file_and_line(tmp_path, bad, fault):
    lines = [line(*pair) for pair in SUMS]
    with pytest.raises(DataError) as caught:
        from_file(tmp_path, [*lines[:3], bad, *lines[3:]])
    assert str(caught.value) == f"{tmp_path / 'addition.txt'}, line 4: {fault}"
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("again", [(75, 22), (22, 75)])
def test_question_that_stands_twice_is_named_with_both_lines(tmp_path, again):
    lines = [line(*pair) for pair in SUMS]
    with pytest.raises(DataError) as caught:
        from_file(tmp_path, [*lines, line(*again)])
    assert str(caught.value) == (
        f"{tmp_path / 'addition.txt'}, line 13: {again[0]}+{again[1]} stands already in line 3 "
        "as 75+22; "
        "it could come into both train and test"
    )


def test_empty_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"addition\.txt, line 1: empty$"):
        from_file(tmp_path, [], end="")


def test_a_file_of_windows_is_read_as_any_other_and_it_is_said(tmp_path):
    lines = [line(a, 75) for a in range(20)]
    pairs = from_file(tmp_path, lines)
    other = from_file(tmp_path, ["\ufeff" + lines[0], *lines[1:]], end="\r\n", between="\r\n")
    assert texts(pairs, "train") == texts(other, "train")
    notes = ["a byte order mark at the start", "line ends of Windows"]
    assert other.facts == {**pairs.facts, "found": notes}


def test_missing_file_is_named(tmp_path):
    path = tmp_path / "no.txt"
    with pytest.raises(DataError) as caught:
        prepare(source=str(path))
    assert str(caught.value) == f"source: {path} is no file; name one, or choose: generated"


def test_file_in_another_encoding_is_named_with_its_line(tmp_path):
    path = tmp_path / "addition.txt"
    path.write_bytes(f"{line(16, 75)}\n16+75  _9\xb9  \n".encode("latin-1"))
    with pytest.raises(DataError, match=rf"^{path}, line 2: not UTF-8 \(byte 0xb9\)"):
        prepare(source=str(path))


def test_too_few_lines_to_split_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"addition\.txt: 9 questions are too few to split"):
        from_file(tmp_path, [line(*pair) for pair in SUMS[:9]])


@pytest.fixture(scope="module")
def book():
    path = os.environ.get("UNROLL_BOOK_ADDITION")
    if not path:
        pytest.skip("UNROLL_BOOK_ADDITION does not name the book's addition.txt")
    assert Path(path).is_file(), f"UNROLL_BOOK_ADDITION: there is no file {path}"
    return prepare(source=path, seed=1984)


def test_file_of_the_book_gives_the_shapes_of_the_book(book):
    assert book.sources["train"].ids.shape == (45_000, 7)
    assert book.targets["train"].ids.shape == (45_000, 5)
    assert book.sources["test"].ids.shape == (5_000, 7)
    assert book.targets["test"].ids.shape == (5_000, 5)


def test_file_of_the_book_gives_the_first_question_of_the_book(book):
    assert book.sources["train"].ids[0].tolist() == [3, 0, 2, 0, 0, 11, 5]
    assert book.targets["train"].ids[0].tolist() == [6, 0, 11, 7, 5]
    assert texts(book, "train")[0] == ("71+118", "189")


def test_validation_questions_are_none_of_the_file_of_the_book(book):
    in_file = {tuple(sorted(pair)) for split in ("train", "test") for pair in operands(book, split)}
    valid = {tuple(sorted(pair)) for pair in operands(book, "valid")}
    assert len(valid) == 5_000
    assert not valid & in_file


few_digits = st.integers(0, 99_999)


@given(few_digits, few_digits)
def test_carries_follow_from_the_digit_sums(a, b):
    def digit_sum(number: int) -> int:
        return sum(map(int, str(number)))

    [_, carries] = addition().properties([f"{a}+{b}"])
    assert carries.name == "carries"
    # Each carry turns a ten of a column into a one of the next (Legendre).
    assert carries.labels == (str((digit_sum(a) + digit_sum(b) - digit_sum(a + b)) // 9),)


def test_questions_are_classed_by_the_digits_of_both_operands():
    [lengths, carries] = addition().properties(["1+23", "99+1", "7+8"])
    assert lengths.name == "operand lengths"
    assert [lengths.labels[i] for i in lengths.codes] == ["1+2", "2+1", "1+1"]
    assert [carries.labels[i] for i in carries.codes] == ["0", "2", "1"]


@pytest.mark.parametrize(
    ("answered", "name"),
    [("100", "+10"), ("89", "-1"), ("1,090", "no number"), ("", "no number"), ("090", None)],
)
def test_mistakes_are_named_by_how_far_they_are_off(answered, name):
    assert addition().mistake("90", answered) == (name or "leading zeros")
    assert addition().mistake("90", "2090") == "+2,000"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [("1+23", "23+1", True), ("01+23", "1+23", True), ("1+23", "12+3", False)],
)
def test_questions_are_the_same_but_for_the_order_of_operands_and_leading_zeros(
    first, second, same
):
    assert (addition().same(first) == addition().same(second)) == same


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("7+5", "7+5"),
        ("7 + 5", "7+5"),
        (" ７+５ ", "7+5"),
        ("７　＋\t５\n", "7+5"),
        ("٧+٥", "7+5"),
        ("007+05", "007+05"),
        ("999+999", "999+999"),
    ],
)
def test_question_is_taken_without_blanks_and_in_digits_of_ascii(text, question):
    assert addition(max_digits=3).question(text) == question


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "7",
        "+",
        "7+",
        "+5",
        "7++5",
        "7+5+1",
        "7-5",
        "-7+5",
        "7 5+1",
        "7.5+1",
        "1000+1",
        "1+0001",
        "7²+5",
        "7+5_",
        "7+5\0",
        "x",
    ],
)
def test_what_is_no_question_is_refused_with_what_one_is(text):
    with pytest.raises(UserError) as caught:
        addition(max_digits=3).question(text)
    assert str(caught.value) == (
        f"{text!r} is no question of this model; it adds two numbers of 1 to 3 digits: 57+5"
    )
    assert caught.value.exit_code == 2


@given(
    a=st.integers(0, 999), b=st.integers(0, 999), blanks=st.lists(st.text(" \t\u3000"), min_size=4)
)
def test_a_sum_is_a_question_however_it_is_spaced(a, b, blanks):
    one, two, three, four, *_ = blanks
    assert addition().question(f"{one}{a}{two}+{three}{b}{four}") == f"{a}+{b}"


@pytest.mark.parametrize("max_digits", range(1, 10))
def test_example_is_a_question(max_digits):
    task = addition(max_digits=max_digits)
    assert task.question(task.example) == task.example


def test_axes_are_named_for_what_results_are_broken_down_by():
    names = {of.name for of in addition().properties(["1+2"])}
    assert Addition.axes.keys() - {"answer length"} == names
