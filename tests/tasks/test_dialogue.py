from collections import Counter
from itertools import pairwise

import pytest
from pydantic import ValidationError

from unroll import tasks
from unroll.data import dialogue as corpus
from unroll.data.dialogue import conversations
from unroll.data.sequences import SPLITS
from unroll.data.vocabulary import split
from unroll.errors import DataError, UserError
from unroll.tasks.dialogue import Dialogue, DialogueOptions


def dialogue(**options) -> Dialogue:
    return Dialogue(DialogueOptions.model_validate({"kind": "dialogue", **options}))


def rows(data, *splits) -> list[tuple[str, str]]:
    """Return what was said and each reply to it."""
    return [
        (question, reply)
        for s in splits
        for question, replies in zip(data.questions(s), data.references(s), strict=True)
        for reply in replies
    ]


def test_dialogue_is_found_by_its_name_and_learned_as_replies_with_their_texts():
    assert tasks.named("dialogue") is Dialogue
    assert (Dialogue.kind, Dialogue.keeps_texts, Dialogue.has_levels) == ("replies", True, False)


# The built-in corpus

KOREAN = {"language": "korean", "valid": 30, "test": 40, "longest_question": 6, "longest_answer": 8}


@pytest.fixture(scope="module")
def korean():
    return dialogue(**KOREAN).prepare()


@pytest.fixture(scope="module")
def said():
    """Return each turn of the corpus with the next one."""
    plain = dialogue().options.plain
    return [
        (plain(one), plain(other))
        for _, turns in conversations("korean")
        for one, other in pairwise(turns)
    ]


def test_each_turn_is_answered_by_the_next_one(korean, said):
    def is_short(pair):
        question, answer = (len(split(text, "token")) for text in pair)
        return question <= 6 and answer <= 8

    assert sorted(rows(korean, *SPLITS)) == sorted(pair for pair in set(said) if is_short(pair))
    facts = korean.facts
    assert facts["pairs"] == len(said)
    assert facts["different"] == len(set(said))
    assert facts["too long"] == sum(not is_short(pair) for pair in set(said)) > 0
    assert (facts["source"], facts["language"]) == ("chatterbot", "korean")
    assert facts["counts"] == {split: len(korean.questions(split)) for split in SPLITS}


def test_valid_and_test_have_so_many_different_questions_with_all_replies(korean, said):
    questions = {split: korean.questions(split) for split in SPLITS}
    assert (len(questions["valid"]), len(questions["test"])) == (30, 40)
    for held_out in ("valid", "test"):
        assert len(set(questions[held_out])) == len(questions[held_out])
        assert not set(questions[held_out]) & set(questions["train"])
    assert not set(questions["valid"]) & set(questions["test"])
    several = [of for s in ("valid", "test") for of in korean.references(s) if len(of) > 1]
    assert several and all(len(set(of)) == len(of) for of in several)
    assert all(len(of) == 1 for of in korean.references("train"))


def test_the_same_seed_draws_the_same_splits_and_another_others(korean):
    assert rows(dialogue(**KOREAN).prepare(), *SPLITS) == rows(korean, *SPLITS)
    other = dialogue(**KOREAN, seed=1).prepare()
    assert sorted(rows(other, *SPLITS)) == sorted(rows(korean, *SPLITS))
    assert set(other.questions("test")) != set(korean.questions("test"))


def test_by_default_the_conversations_are_english_and_one_turn_is_read():
    data = dialogue(valid=1, test=1).prepare()
    assert data.facts["language"] == "english"
    assert not any("¶" in question for question, _ in rows(data, *SPLITS))
    assert data.form.source.unit == data.form.answers.unit == "token"


def test_a_language_that_is_not_there_is_refused():
    with pytest.raises(UserError, match=r"language: engish \(did you mean english\?\)"):
        dialogue(language="engish").prepare()


@pytest.mark.parametrize("turns_before", [0, 1, 2])
def test_what_was_said_last_stands_in_one_split_whatever_was_said_before(turns_before):
    task = dialogue(language="german", valid=20, test=20, turns_before=turns_before)
    data = task.prepare()
    last = {s: {question.split("¶")[-1].strip() for question in data.questions(s)} for s in SPLITS}
    assert (len(last["valid"]), len(last["test"])) == (20, 20)
    assert not last["train"] & last["valid"] | last["train"] & last["test"]
    assert not last["valid"] & last["test"]
    if turns_before:
        before = Counter(question.count("¶") for question, _ in rows(data, *SPLITS))
        assert before.keys() == set(range(turns_before + 1))


@pytest.mark.parametrize("punctuation", ["keep", "strip"])
@pytest.mark.parametrize("turns_before", [0, 2])
def test_questions_of_the_data_are_questions_as_they_stand(turns_before, punctuation):
    task = dialogue(
        language="german", valid=20, test=20, turns_before=turns_before, punctuation=punctuation
    )
    for question, _ in rows(task.prepare(), *SPLITS):
        assert task.question(question) == question


@pytest.fixture
def klingon(tmp_path, monkeypatch):
    """Return a function that prepares conversations which stand in place of the built-in ones."""
    folder = tmp_path / "some_corpus" / "data" / "klingon"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(corpus, "PACKAGE", "some_corpus")

    def data(*said: str, **options):
        lines = [f"- [{', '.join(repr(turn) for turn in turns.split('/'))}]" for turns in said]
        (folder / "food.yml").write_text("\n".join(["conversations:", *lines]) + "\n")
        given = {"language": "klingon", "valid": 1, "test": 1, **options}
        return dialogue(**given).prepare()

    return data


@pytest.mark.parametrize(
    ("turns_before", "expected"),
    [
        (0, [("a", "b"), ("b", "c"), ("c", "d"), ("x", "y")]),
        (1, [("a", "b"), ("a ¶ b", "c"), ("b ¶ c", "d"), ("x", "y")]),
        (2, [("a", "b"), ("a ¶ b", "c"), ("a ¶ b ¶ c", "d"), ("x", "y")]),
        (20, [("a", "b"), ("a ¶ b", "c"), ("a ¶ b ¶ c", "d"), ("x", "y")]),
    ],
)
def test_so_many_turns_before_are_read_too(klingon, turns_before, expected):
    data = klingon("a/b/c/d", "x/y", "alone", turns_before=turns_before)
    assert sorted(rows(data, *SPLITS)) == expected
    assert ("¶" in data.form.source.symbols) == (turns_before > 0)


def test_what_was_said_twice_counts_once(klingon):
    data = klingon("a/b", "a/b", "a/c", "d/e", "f/g", "A/b")
    assert data.facts["pairs"] == 6
    assert data.facts["different"] == 5
    data = klingon("a/b", "a/b", "a/c", "d/e", "f/g", "A/b", lower_case=True)
    assert data.facts["different"] == 4
    assert ("a", "b") in rows(data, *SPLITS)


def test_the_sign_between_turns_stands_nowhere_else(klingon):
    data = klingon("a ¶ b/c¶d/e", "f/g", turns_before=1)
    assert sorted(rows(data, *SPLITS)) == [("a b", "c d"), ("a b ¶ c d", "e"), ("f", "g")]


def test_the_same_words_after_others_stay_in_their_split(klingon):
    """So drawn from three questions, not from seven."""
    said = [f"w{i}/hello/r{i}" for i in range(5)]
    data = klingon(*said, turns_before=1, valid=1, test=4)
    places = {
        question: s for s in SPLITS for question in data.questions(s) if question.endswith("hello")
    }
    assert places.keys() == {f"w{i} ¶ hello" for i in range(5)}
    assert len(set(places.values())) == 1


@pytest.mark.parametrize("turns_before", [0, 1, 2])
def test_a_turn_of_which_nothing_is_left_is_no_turn(klingon, turns_before):
    data = klingon(
        "hello/?!/yes/no/so", "a/b", "c/d", punctuation="strip", turns_before=turns_before
    )
    for question, reply in rows(data, *SPLITS):
        assert reply
        assert all(turn.strip() for turn in question.split("¶")), question
    assert "so" in {reply for _, reply in rows(data, *SPLITS)}


# A table of a user's own


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a table and returns what it reads of it."""

    def data(*lines, name="d.csv", header="question,answer", end="\n", **options):
        path = tmp_path / name
        path.write_bytes("".join(f"{line}{end}" for line in (header, *lines)).encode())
        return dialogue(**{"source": str(path), "valid": 1, "test": 1, **options}).prepare()

    return data


SIX = [f"q{i},a{i}" for i in range(6)]


def test_each_row_is_a_question_and_its_answer(table, tmp_path):
    data = table(*SIX, '"one,\ntwo", three  four ', "q0,a0", "q1,", ",a2")
    assert sorted(rows(data, *SPLITS)) == [
        ("one, two", "three four"),
        *((f"q{i}", f"a{i}") for i in range(6)),
    ]
    assert data.facts == {
        "source": str(tmp_path / "d.csv"),
        "pairs": 10,
        "different": 7,
        "too long": 0,
        "counts": {"train": 5, "valid": 1, "test": 1},
    }


def test_a_table_has_columns_of_its_own_and_tabs(table):
    data = table(
        *(f"{i}\tyes, {i}\thow {i}" for i in range(4)),
        name="talk.tsv", header="id\tB\tA", question_column="A", answer_column="B",
    )  # fmt: skip
    assert sorted(rows(data, *SPLITS)) == [(f"how {i}", f"yes, {i}") for i in range(4)]


def test_several_answers_to_a_question_are_its_references_outside_train(table):
    replies = ["yes", "no", "so so"]
    data = table(*(f"q{i},{reply}" for i in range(4) for reply in replies), valid=1, test=1)
    assert [len(data.questions(split)) for split in SPLITS] == [6, 1, 1]
    for held_out in ("valid", "test"):
        assert data.references(held_out) == [replies]
        assert data.targets[held_out].texts(data.form.answers) == ["yes"]
    assert data.references("train") == [[reply] for _ in range(2) for reply in replies]


def test_texts_are_made_as_the_options_say(table):
    data = table(
        *SIX, "Où ça ?,À LA gare!", lower_case=True, accents="strip", punctuation="strip",
        unit="word",
    )  # fmt: skip
    assert ("ou ca", "a la gare") in rows(data, *SPLITS)


def test_what_is_too_long_is_left_out_and_counted(table):
    longer = ["a b c,x", "a b,x y", "b a c,x y", "b a,x"]
    data = table(*SIX, *longer, longest_question=2, longest_answer=1)
    assert data.facts["too long"] == 3
    assert ("b a", "x") in rows(data, *SPLITS)
    assert (data.form.source_width, data.form.target_width) == (2, 3)


def test_rare_symbols_are_unknown_and_the_texts_keep_them(table):
    data = table(*(f"the q{i},a w{i}" for i in range(6)), minimum_count=2)
    assert set(data.form.source.symbols) == {"<pad>", "<unk>", "the"}
    assert data.sources["test"].texts(data.form.source) == ["the <unk>"]
    [question] = data.questions("test")
    assert question.startswith("the q")
    assert data.references("test") == [[f"a w{question[-1]}"]]


def test_what_was_unusual_about_the_file_is_noted(table):
    data = table(*SIX, header="\ufeffquestion,answer", end="\r\n")
    assert data.facts["found"] == ["a byte order mark at the start", "line ends of Windows"]


@pytest.mark.parametrize(
    ("row", "symbol", "unit"),
    [
        ("what ¶ now,x", "¶", "token"),
        ("what,x ¶", "¶", "word"),
        ("¶,x", "¶", "character"),
        ("what¶now,x", "¶", "character"),
        ("a <pad> b,x", "<pad>", "word"),
        ("a,<sos>", "<sos>", "word"),
        ("a,b <eos>", "<eos>", "word"),
        # Where it stands beside a word it parts turns as well:
        ("what¶now,x", "¶", "token"),
        ("what ¶now,x", "¶", "word"),
    ],
)
def test_a_sign_that_has_a_meaning_is_refused_with_its_place(table, row, symbol, unit):
    with pytest.raises(DataError) as caught:
        table(*SIX, row, unit=unit)
    assert str(caught.value).endswith(
        f"d.csv, line 8: {symbol} has a meaning here; write it otherwise"
    )


def test_the_sign_of_the_unknown_may_be_said(table):
    assert ("the <unk>", "x") in rows(table(*SIX, "the <unk>,x", unit="word"), *SPLITS)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"question_column": "questoin"}, r"no column 'questoin' \(did you mean question\?\)"),
        ({"answer_column": "reply"}, "no column 'reply'"),
        (
            {"valid": 3, "test": 3},
            r"questions of .*d\.csv: 6 that are .*, but valid and test ask for 6",
        ),
        ({"longest_question": 1, "unit": "character"}, r"0 that are different and short enough"),
    ],
)
def test_what_leaves_nothing_to_learn_is_refused(table, options, fault):
    with pytest.raises(DataError, match=fault):
        table(*SIX, **options)


def test_a_source_that_is_no_file_is_refused(tmp_path):
    for path in (tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(DataError) as caught:
            dialogue(source=str(path)).prepare()
        told = f"source: {path} is no file; name one, or choose: chatterbot"
        assert str(caught.value) == told


# Options


@pytest.mark.parametrize(
    ("options", "idle"),
    [
        ({"question_column": "q"}, "question_column: only of a file; leave it out"),
        (
            {"answer_column": "a", "question_column": "q"},
            "question_column, answer_column: only of a file; leave it out",
        ),
        ({"source": "a.csv", "language": "korean"}, "language: only of chatterbot; leave it out"),
        ({"source": "a.csv", "turns_before": 1}, "turns_before: only of chatterbot; leave it out"),
    ],
)
def test_an_option_that_does_nothing_is_refused(options, idle):
    with pytest.raises(ValidationError, match=idle):
        dialogue(**options)


@pytest.mark.parametrize(
    "wrong",
    [{"turns_before": -1}, {"turns_before": 21}, {"longest_question": 0}, {"longest_answer": 0},
     {"longest_question": 9_999}, {"longest_answer": 9_999}, {"minimum_count": 0}, {"valid": 0},
     {"test": 0}, {"seed": -1}, {"seed": 2**32}, {"unit": "line"}, {"more": 1}],
)  # fmt: skip
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        dialogue(**wrong)


# What it knows of questions


@pytest.mark.parametrize(
    ("turns_before", "text", "question"),
    [
        (0, " How  are\tyou?\n", "How are you?"),
        (0, "a ¶ b", "b"),
        (1, "a ¶ b", "a ¶ b"),
        (1, "a¶b¶ c", "b ¶ c"),
        (2, " a  a¶b ¶c", "a a ¶ b ¶ c"),
        (2, "a ¶ ¶ b", "a ¶ b"),
        (2, "¶ b", "b"),
    ],
)
def test_a_question_has_the_turns_that_a_model_has_learned(turns_before, text, question):
    task = dialogue(turns_before=turns_before)
    assert task.question(text) == question
    assert task.question(question) == question


def test_a_question_is_made_as_the_texts_were():
    task = dialogue(lower_case=True, punctuation="strip", accents="strip", turns_before=1)
    assert task.question("Où EST ? ¶ C'est là!") == "ou est ¶ c'est la"
    assert task.question("?! ¶ Yes.") == "yes"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", {}),
        (" \t", {}),
        ("¶", {}),
        ("a ¶", {}),
        ("a ¶ ¶ ", {}),
        ("?!", {"punctuation": "strip"}),
    ],
)
def test_nothing_is_no_question(text, options):
    with pytest.raises(UserError) as caught:
        dialogue(**options).question(text)
    assert str(caught.value) == f"{text!r} has nothing in it to reply to"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("earlier", "text"),
    [([], "c"), (["a", "b"], "a ¶ b ¶ c"), (["a ¶ x", "¶"], "a   x ¶   ¶ c")],
)
def test_in_context_a_text_stands_after_the_turns_before_it(earlier, text):
    assert dialogue().in_context("c", earlier) == text


@pytest.mark.parametrize(("turns_before", "question"), [(0, "c"), (1, "b ¶ c"), (3, "a x ¶ b ¶ c")])
def test_of_a_context_as_much_is_read_as_a_model_has_learned(turns_before, question):
    task = dialogue(turns_before=turns_before)
    assert task.question(task.in_context("c", ["a ¶ x", "b"])) == question


def test_its_example_is_a_question_where_there_is_one():
    for options in ({}, {"lower_case": True, "punctuation": "strip"}, {"turns_before": 2}):
        task = dialogue(**options)
        assert task.example
        assert task.question(task.example) == task.example
    assert dialogue(language="korean").example == ""
    assert dialogue(source="d.csv").example == ""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a ¶ b", "c ¶ b", True),
        ("b", "c ¶ d ¶ b", True),
        ("a ¶ b", "a ¶ c", False),
        ("a", "b", False),
    ],
)
def test_questions_are_the_same_by_what_was_said_last(one, other, same):
    assert (dialogue().same(one) == dialogue().same(other)) == same


def test_questions_are_classed_by_the_length_of_what_was_said_last():
    texts = ["one, two", "a b c d e ¶ one", "a b c d e ¶ f g h i j k l m", " ".join("a" * 21)]
    [found] = dialogue(turns_before=1).properties(texts)
    assert found.name == "question length" and found.name in Dialogue.axes
    assert [found.labels[code] for code in found.codes] == ["3–4", "1–2", "8–12", "21–"]
    [of_words] = dialogue(unit="word").properties(["one, two"])
    assert [of_words.labels[code] for code in of_words.codes] == ["1–2"]
