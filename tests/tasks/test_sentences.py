from collections import defaultdict

import numpy as np
import pytest
from pydantic import ValidationError

from unroll import tasks
from unroll.data.dialogue import conversations
from unroll.data.sequences import SPLITS
from unroll.errors import DataError, UserError
from unroll.tasks.sentences import Sentences, SentencesOptions


def sentences(**options):
    return Sentences(SentencesOptions.model_validate({"kind": "sentences", **options}))


def rows(data, *splits):
    return [row for s in splits for row in zip(data.questions(s), data.answers(s), strict=True)]


def test_sentences_are_found_by_their_name_and_learned_as_labels_with_their_texts():
    assert tasks.named("sentences") is Sentences
    assert (Sentences.kind, Sentences.keeps_texts) == ("labels", True)


# The built-in corpus

KOREAN = {"language": "korean", "longest": 8, "fewest": 30, "valid": 40, "test": 50}


@pytest.fixture(scope="module")
def korean():
    return sentences(**KOREAN).prepare()


@pytest.fixture(scope="module")
def topics():
    """Return the topics of each sentence of the corpus."""
    found = defaultdict(set)
    for topic, turns in conversations("korean"):
        for turn in turns:
            found[sentences().question(turn)].add(topic)
    return found


def test_the_counts_of_the_facts_add_up(korean):
    facts, kept = korean.facts, rows(korean, *SPLITS)
    left_out = facts["of two labels"] + facts["too long"] + facts["of labels with too few"]
    assert facts["different"] == left_out + len(kept) <= facts["sentences"]
    assert min(facts["of two labels"], facts["too long"], facts["of labels with too few"]) > 0
    assert facts["counts"] == {"train": len(kept) - 90, "valid": 40, "test": 50}
    names = [label for _, label in kept]
    assert facts["labels"] == {label: names.count(label) for label in korean.form.labels}
    assert list(facts["labels"].values()) == sorted(facts["labels"].values(), reverse=True)
    assert (facts["source"], facts["language"]) == ("chatterbot", "korean")
    turns = [turn for _, turns in conversations("korean") for turn in turns]
    assert facts["sentences"] == len(turns)


def test_no_sentence_stands_in_two_splits_or_twice_in_one(korean):
    texts = [text for text, _ in rows(korean, *SPLITS)]
    assert len(set(texts)) == len(texts)


def test_a_sentence_of_two_topics_stands_in_no_split(korean, topics):
    two = {text for text, of in topics.items() if len(of) > 1}
    assert korean.facts["of two labels"] == sum(len(topics[text]) for text in two)
    assert not two & {text for text, _ in rows(korean, *SPLITS)}
    assert all(topics[text] == {label} for text, label in rows(korean, *SPLITS))


def test_sentences_have_no_more_symbols_than_is_said_and_topics_no_fewer_sentences(korean, topics):
    split = korean.form.source.split
    lengths = [len(split(text)) for text, _ in rows(korean, *SPLITS)]
    assert max(lengths) == korean.form.source_width == 8
    short = [
        next(iter(of)) for text, of in topics.items() if len(of) == 1 and len(split(text)) <= 8
    ]
    assert set(korean.form.labels) == {label for label in short if short.count(label) >= 30}
    assert set(short) > set(korean.form.labels)  # some have fewer


def test_the_same_seed_draws_the_same_splits_and_another_others(korean):
    assert rows(sentences(**KOREAN).prepare(), *SPLITS) == rows(korean, *SPLITS)
    other = sentences(**KOREAN, seed=1).prepare()
    assert sorted(rows(other, *SPLITS)) == sorted(rows(korean, *SPLITS))
    assert set(rows(other, "test")) != set(rows(korean, "test"))


def test_by_default_the_sentences_are_english():
    data = sentences(fewest=100, valid=1, test=1).prepare()
    assert data.facts["language"] == "english"
    found = dict(rows(data, *SPLITS))
    assert found["What is your favorite book?"] == "conversations"
    assert data.form.source.unit == "token"


def test_a_language_that_is_not_there_is_refused():
    with pytest.raises(UserError, match=r"language: engish \(did you mean english\?\)"):
        sentences(language="engish").prepare()


# A table of a user's own


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a table and returns what it reads of it."""

    def data(*lines: str, name: str = "s.csv", header: str = "text,label", end="\n", **options):
        path = tmp_path / name
        path.write_bytes("".join(f"{line}{end}" for line in (header, *lines)).encode())
        return sentences(**{"source": str(path), "valid": 1, "test": 1, **options}).prepare()

    return data


EIGHT = [f"the{i % 2} w{i},{'ab'[i % 2]}" for i in range(8)]


def test_each_sentence_that_is_left_out_is_counted(table, tmp_path):
    data = table(
        "A good film,pos",
        "a  GOOD film!,pos",  # the same
        "So so,pos",
        "so so,neg",
        "a b c d e f,neg",
        "?!,pos",
        "rare one,odd",
        "bad film,neg",
        "awful film, neg ",
        "great film,pos",
        "fine film,pos",
        unit="word", lower_case=True, punctuation="strip", longest=5, fewest=2,
    )  # fmt: skip
    assert data.facts == {
        "source": str(tmp_path / "s.csv"),
        "sentences": 11,
        "different": 9,
        "of two labels": 2,
        "too long": 1,
        "of labels with too few": 1,
        "labels": {"pos": 3, "neg": 2},
        "counts": {"train": 3, "valid": 1, "test": 1},
    }
    assert sorted(rows(data, *SPLITS)) == [
        ("a good film", "pos"),
        ("awful film", "neg"),
        ("bad film", "neg"),
        ("fine film", "pos"),
        ("great film", "pos"),
    ]


def test_known_seed_gives_known_splits(table):
    data = table(*EIGHT, valid=2, test=2)
    assert rows(data, "valid", "test") == [
        ("the0 w2", "a"),
        ("the1 w5", "b"),
        ("the0 w6", "a"),
        ("the1 w7", "b"),
    ]
    assert rows(table(*EIGHT, valid=2, test=2, seed=7), "test") != rows(data, "test")


def test_a_table_has_columns_of_its_own_and_tabs(table):
    data = table(
        *(f"{i}\tgood, number {i}\tyes" for i in range(3)),
        *(f"{i}\tbad, number {i}\tno" for i in range(3)),
        name="reviews.tsv", header="id\tSentence\tgold", text_column="Sentence",
        label_column="gold",
    )  # fmt: skip
    assert data.form.labels == ["no", "yes"]
    assert ("good, number 2", "yes") in rows(data, *SPLITS)


def test_what_was_unusual_about_the_file_is_noted(table):
    data = table(*EIGHT, header="\ufefftext,label", end="\r\n")
    assert data.facts["found"] == ["a byte order mark at the start", "line ends of Windows"]
    assert data.form.labels == ["a", "b"]


def test_lines_within_a_sentence_are_blanks(table):
    data = table(*EIGHT, '"one,\ntwo",a')
    assert ("one, two", "a") in rows(data, *SPLITS)


def test_rare_symbols_are_unknown_and_the_questions_keep_them(table):
    data = table(*EIGHT, unit="word", minimum_count=2)
    assert set(data.form.source.symbols) == {"<pad>", "<unk>", "the0", "the1"}
    assert data.sources["test"].texts(data.form.source)[0].endswith(" <unk>")
    assert all(" w" in question for question in data.questions("test"))


@pytest.mark.parametrize(
    ("unit", "symbols"),
    [
        ("word", ["well,", "yes!"]),
        ("token", ["well", "￭,", "yes", "￭!"]),
        ("character", [*"wel, ys!"]),
    ],
)
def test_sentences_are_made_of_the_unit_that_is_asked_for(table, unit, symbols):
    """Of ten that end alike, eight are learned."""
    data = table(*(f'"{i}: well, yes!",{"ab"[i % 2]}' for i in range(10)), unit=unit)
    assert data.form.source.unit == unit
    assert set(symbols) <= set(data.form.source.symbols)
    assert [symbols[-1]] * 10 == [
        data.form.source.split(text)[-1] for text, _ in rows(data, *SPLITS)
    ]


def test_the_sign_of_the_unknown_may_stand_in_a_sentence(table):
    data = table(*EIGHT, "the <unk> w,a", unit="word")
    assert data.facts["different"] == 9


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("word,", "there is no label"),
        ("word,  ", "there is no label"),
        ("a <pad> b,x", "<pad> has a meaning here; write it otherwise"),
        ("word", "1 fields, but the first row names 2"),
    ],
)
def test_a_bad_row_is_named(table, line, fault):
    with pytest.raises(DataError, match=rf"s\.csv, line 3: {fault}$"):
        table("fine,x", line, unit="word")


def test_where_it_is_made_of_characters_a_sign_means_nothing(table):
    data = table(*EIGHT, "a <pad> b,a", unit="character")
    assert ("a <pad> b", "a") in rows(data, *SPLITS)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"text_column": "txt"}, r"no column 'txt' \(did you mean text\?\); it has text, label"),
        ({"label_column": "class"}, "no column 'class'"),
        ({"minimum_count": 9}, "minimum_count: no symbol stands so often in train; lower it"),
        ({"fewest": 5}, r"s\.csv: fewer than two labels are left"),
        ({"longest": 1}, "fewer than two labels are left"),
        (
            {"valid": 4, "test": 4},
            r"sentences of .*s\.csv: 8 that are .*, but valid and test ask for 8",
        ),
    ],
)
def test_what_leaves_nothing_to_learn_is_refused(table, options, fault):
    with pytest.raises(DataError, match=fault):
        table(*EIGHT, **options)


def test_a_source_that_is_no_file_is_refused(tmp_path):
    for path in (tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(DataError) as caught:
            sentences(source=str(path)).prepare()
        told = f"source: {path} is no file; name one, or choose: chatterbot"
        assert str(caught.value) == told


# Options


@pytest.mark.parametrize(
    ("options", "idle"),
    [
        ({"text_column": "t"}, "text_column: only of a file; leave it out"),
        ({"label_column": "l", "text_column": "t"}, "text_column, label_column: only of a file"),
        ({"source": "a.csv", "language": "korean"}, "language: only of chatterbot; leave it out"),
    ],
)
def test_an_option_that_does_nothing_is_refused(options, idle):
    with pytest.raises(ValidationError, match=idle):
        sentences(**options)


@pytest.mark.parametrize(
    "wrong",
    [{"longest": 0}, {"longest": 10_001}, {"fewest": 0}, {"minimum_count": 0}, {"valid": 0},
     {"test": 0}, {"seed": -1}, {"unit": "line"}, {"accents": "drop"}, {"more": 1}],
)  # fmt: skip
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        sentences(**wrong)


# What it knows of questions and answers


def test_a_question_is_made_as_the_sentences_were():
    task = sentences(lower_case=True, punctuation="strip", accents="strip")
    assert task.question("  Où est\tl'hôtel ?\n") == "ou est l'hotel"
    assert sentences().question("A  b!") == "A b!"


@pytest.mark.parametrize(
    ("text", "options"), [("", {}), (" \t", {}), ("?!", {"punctuation": "strip"})]
)
def test_a_question_of_nothing_is_refused(text, options):
    with pytest.raises(UserError) as caught:
        sentences(**options).question(text)
    assert str(caught.value) == f"{text!r} has nothing in it"


def test_its_example_is_a_question_where_there_is_one():
    for options in ({}, {"lower_case": True, "punctuation": "strip"}):
        task = sentences(**options)
        assert task.example
        assert task.question(task.example) == task.example
    assert sentences(language="korean").example == ""
    assert sentences(source="s.csv").example == ""


def test_a_mistake_names_both_labels():
    assert sentences().mistake("sports", "food") == "food instead of sports"


def test_sentences_are_classed_by_their_lengths():
    [of_tokens] = sentences().properties(["one, two", "one", "a b c d e"])
    assert of_tokens.name == "length" and of_tokens.name in Sentences.axes
    assert [of_tokens.labels[i] for i in of_tokens.codes] == ["3–4", "1–2", "5–7"]
    [of_words] = sentences(unit="word").properties(["one, two", " ".join("a" * 21)])
    assert [of_words.labels[i] for i in of_words.codes] == ["1–2", "21–"]
    assert np.issubdtype(of_words.codes.dtype, np.integer)
