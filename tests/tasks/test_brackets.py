import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.toys import few_examples
from unroll.data.sequences import SPLITS
from unroll.errors import UserError
from unroll.tasks.brackets import LABELS, Brackets, BracketsOptions


def brackets(**options):
    return Brackets(BracketsOptions.model_validate({"kind": "brackets", **options}))


def reduced(text):
    """Return what is left when all pairs that stand side by side are taken out."""
    while "()" in text:
        text = text.replace("()", "")
    return text


def rows(data):
    """Return sequence and label of all splits."""
    return [row for s in SPLITS for row in zip(data.questions(s), data.answers(s), strict=True)]


def test_known_seed_gives_known_sequences():
    data = brackets(longest=6, train=4, valid=1, test=1).prepare()
    assert rows(data) == [
        ("()(())", "balanced"),
        (")(", "unbalanced"),
        ("()", "balanced"),
        ("()(()(", "unbalanced"),
        ("))((", "unbalanced"),
        ("(())", "balanced"),
    ]


@few_examples
@given(
    longest=st.integers(8, 40),
    sizes=st.tuples(*[st.integers(1, 6)] * 3),
    seed=st.integers(0, 2**40),
)
def test_sequences_are_all_different_and_their_labels_true(longest, sizes, seed):
    counts = dict(zip(SPLITS, sizes, strict=True))
    data = brackets(longest=longest, seed=seed, **counts).prepare()
    assert {split: len(data.labels[split]) for split in SPLITS} == counts
    assert data.facts == {"counts": counts}
    texts = [text for text, _ in rows(data)]
    assert len(set(texts)) == len(texts)
    for text, label in rows(data):
        assert 0 < len(text) <= longest
        assert label == ("unbalanced" if reduced(text) else "balanced")


@pytest.fixture(scope="module")
def default():
    return brackets().prepare()


def test_half_of_the_sequences_are_balanced(default):
    labels = np.concatenate([default.labels[split] for split in SPLITS])
    assert (labels == LABELS.index("balanced")).sum() == len(labels) // 2
    for split in SPLITS:
        assert 0.35 < default.labels[split].mean() < 0.65


def test_neither_length_nor_count_tells_the_labels_apart(default):
    """Who counts brackets is wrong about many of the unbalanced ones, and so is who counts all."""
    found = rows(default)
    unbalanced = [text for text, label in found if label == "unbalanced"]
    alike = np.mean([text.count("(") == text.count(")") for text in unbalanced])
    assert 0.3 < alike < 0.7
    lengths = {label: {len(text) for text, other in found if other == label} for label in LABELS}
    assert lengths["balanced"] == lengths["unbalanced"] == set(range(2, 17, 2))


def test_same_seed_gives_the_same_sequences_and_another_others():
    sizes = {"longest": 12, "train": 20, "valid": 5, "test": 5}
    first, again, other = (rows(brackets(**sizes, seed=seed).prepare()) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_ids_are_those_of_the_form(default):
    form = default.form
    assert (form.source.symbols, form.labels) == (["<pad>", "(", ")"], ["balanced", "unbalanced"])
    assert form.source_width == 16
    row, length = default.sources["test"].ids[0], default.sources["test"].lengths[0]
    assert "".join("#()"[i] for i in row[:length]) == default.questions("test")[0]
    assert not row[length:].any()


@pytest.mark.parametrize(("longest", "train", "there"), [(2, 2, 3), (4, 20, 14)])
def test_more_sequences_than_there_are_is_named_with_the_way_out(longest, train, there):
    with pytest.raises(UserError) as caught:
        brackets(longest=longest, train=train, valid=1, test=1).prepare()
    assert str(caught.value) == (
        f"only {there} of {train + 2} different sequences, half of them balanced, could be drawn "
        f"with longest: {longest}; lower train, valid or test, or raise longest"
    )


@pytest.mark.parametrize(
    "wrong", [{"longest": 1}, {"longest": 501}, {"train": 0}, {"seed": -1}, {"more": 1}]
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        brackets(**wrong)


@pytest.mark.parametrize(
    ("text", "question"), [("(())", "(())"), (" ( ()\t)\n", "(())"), (")", ")"), ("(" * 6, "(" * 6)]
)
def test_question_is_taken_without_blanks(text, question):
    assert brackets(longest=6).question(text) == question


@pytest.mark.parametrize("text", ["", "  ", "(" * 7, "[]", "(a)", "（）", "()\0"])
def test_what_is_no_question_is_refused_with_what_one_is(text):
    with pytest.raises(UserError) as caught:
        brackets(longest=6).question(text)
    assert str(caught.value) == (
        f"{text!r} is no question of this model; it takes 1 to 6 round brackets: (())()"
    )


@pytest.mark.parametrize("longest", range(2, 10))
def test_example_is_a_question(longest):
    task = brackets(longest=longest)
    assert task.question(task.example) == task.example


def test_sequences_are_classed_by_their_length_and_depth():
    [length, depth] = brackets().properties(["()", "(())()", "))((", "((("])
    assert (length.name, depth.name) == ("length", "depth")
    assert [length.labels[i] for i in length.codes] == ["2", "6", "4", "3"]
    assert [depth.labels[i] for i in depth.codes] == ["1", "2", "0", "3"]
    assert Brackets.axes.keys() == {length.name, depth.name}
