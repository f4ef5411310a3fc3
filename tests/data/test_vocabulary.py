import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from unroll.data.vocabulary import SPECIAL, Vocabulary, join, split
from unroll.errors import DataError

symbols = st.lists(st.text(min_size=1, max_size=3), min_size=1)

BOOK = Vocabulary([*" _0123456789+"], special={"pad": " ", "start": "_", "end": " "})
WORDS = Vocabulary([*SPECIAL.values(), "the", "cat", "sat"], special=dict(SPECIAL), unit="word")


@given(symbols)
def test_decoding_undoes_encoding(stream):
    vocabulary = Vocabulary.by_first_appearance(stream)
    ids = vocabulary.encode(stream, "here")
    assert vocabulary.decode(ids) == stream
    assert set(ids) == set(range(len(vocabulary)))


@given(symbols)
def test_ids_grow_in_the_order_of_first_appearance(stream):
    ids = Vocabulary.by_first_appearance(stream).encode(stream, "here")
    assert all(i <= max(ids[:place], default=-1) + 1 for place, i in enumerate(ids))


def test_numbering_by_first_appearance_of_a_known_text():
    vocabulary = Vocabulary.by_first_appearance("16+75  _91  ")
    assert vocabulary.symbols == ["1", "6", "+", "7", "5", " ", "_", "9"]
    assert vocabulary.encode("61_5", "here") == [1, 0, 6, 4]
    assert vocabulary.decode([7, 7, 2]) == ["9", "9", "+"]
    assert len(vocabulary) == 8


def test_unknown_symbol_is_named_with_its_place():
    with pytest.raises(DataError, match=r"^ptb\.test\.txt, line 3: 'x' is not in the vocabulary$"):
        Vocabulary(("a", "b")).encode("abxy", "ptb.test.txt, line 3")


def test_unknown_symbol_becomes_the_one_for_such_where_there_is_one():
    vocabulary = Vocabulary(["a", "?", "b"], special={"unknown": "?"})
    assert vocabulary.encode("abxy?", "here") == [0, 2, 1, 1, 1]


def test_same_symbol_twice_is_refused():
    with pytest.raises(ValueError, match="same symbol twice"):
        Vocabulary(("a", "b", "a"))


def test_special_symbol_that_is_none_of_the_symbols_is_refused_with_its_role():
    with pytest.raises(ValueError, match="the vocabulary lacks '#', its symbol for pad"):
        Vocabulary(("a", "b"), special={"pad": "#"})


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({}, "symbols"),
        ({"symbols": []}, "symbols"),
        ({"symbols": ["a", ""]}, "symbols.1"),
        ({"symbols": ["a", 1]}, "symbols.1"),
        ({"symbols": "ab"}, "symbols"),
        ({"symbols": None}, "symbols"),
        ({"symbols": ["a"], "unit": "byte"}, "unit"),
        ({"symbols": ["a"], "special": {"middle": "a"}}, "special.middle.[key]"),
        ({"symbols": ["a"], "special": ["a"]}, "special"),
        ({"symbols": ["a"], "more": 1}, "more"),
        ({"symbols": ["a"], "_ids": {}}, "_ids"),
        ({"symbols": ["a"], "self": 1}, "self"),
    ],
    ids=str,
)
def test_document_that_is_no_vocabulary_is_refused_with_the_place(document, place):
    with pytest.raises(ValidationError) as caught:
        Vocabulary.model_validate(document)
    assert ".".join(map(str, caught.value.errors()[0]["loc"])) == place


def test_vocabularies_are_equal_when_symbols_order_and_special_ones_are():
    assert Vocabulary(("a", "b")) == Vocabulary.by_first_appearance("abab")
    assert Vocabulary(("a", "b")) != Vocabulary(("b", "a"))
    assert Vocabulary(("a", "b")) != Vocabulary(("a", "b"), special={"pad": "a"})
    assert Vocabulary(("a", "b")) != Vocabulary(("a", "b"), unit="word")


@pytest.mark.parametrize("vocabulary", [BOOK, WORDS], ids=["characters", "words"])
def test_vocabulary_comes_back_from_what_is_written_of_it(vocabulary):
    assert Vocabulary.model_validate(vocabulary.model_dump()) == vocabulary


def test_special_symbols_are_found_by_their_roles():
    assert [BOOK[role] for role in ("pad", "start", "end")] == [0, 1, 0]
    assert [WORDS[role] for role in SPECIAL] == [0, 1, 2, 3]
    with pytest.raises(KeyError):
        BOOK["unknown"]


def test_text_is_split_into_characters_or_at_white_space():
    assert BOOK.split("7 + 5") == ["7", " ", "+", " ", "5"]
    assert WORDS.split(" the  cat\tsat\n") == ["the", "cat", "sat"]


@pytest.mark.parametrize(
    ("vocabulary", "stream", "text"),
    [
        (BOOK, "_189 ", "189"),
        (BOOK, "71+118 ", "71+118"),
        (BOOK, "7 5   ", "7 5"),  # what fills ends nothing but the sequence
        (BOOK, "1_9", "1_9"),  # what begins stands at the beginning
        (BOOK, "     ", ""),
        (BOOK, "", ""),
        (WORDS, ["<sos>", "the", "cat", "<eos>", "<pad>", "<pad>"], "the cat"),
        (WORDS, ["<sos>", "the", "cat", "<eos>", "sat", "<pad>"], "the cat"),
        (WORDS, ["the", "cat", "sat"], "the cat sat"),
        (WORDS, ["the", "<unk>", "sat", "<pad>"], "the <unk> sat"),
        (WORDS, ["<sos>", "<eos>"], ""),
    ],
)
def test_text_goes_to_the_end_symbol_and_has_no_start_and_no_filling(vocabulary, stream, text):
    assert vocabulary.text(vocabulary.encode(stream, "here")) == text


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Qu'as-tu dit ?", ["Qu", "￭'￭", "as", "￭-￭", "tu", "dit", "?"]),
        (
            "«Va!» (3,5 €)...",
            ["«￭", "Va", "￭!", "￭»", "(￭", "3", "￭,￭", "5", "€", "￭)"] + 3 * ["￭."],
        ),
        ("그는 학생이다.", ["그는", "학생이다", "￭."]),
        ("", []),
    ],
)
def test_tokens_are_words_and_marks_that_say_where_no_blank_stood(text, tokens):
    assert split(text, "token") == tokens
    assert join(tokens, "token") == text


@given(st.text(st.sampled_from("ab1é가 .,'-_«!￭\n\u00a0"), max_size=20))
def test_tokens_become_the_text_that_they_were(text):
    assert join(split(text, "token"), "token") == " ".join(text.replace("￭", " ").split())


def test_a_symbol_that_is_rare_is_not_in_the_vocabulary():
    found = Vocabulary.of_texts(["a b", "b c b"], "word", "pad", "unknown", minimum_count=2)
    assert found.symbols == ["<pad>", "<unk>", "b"]
