"""Texts become ids with their lengths, and texts again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.data.sequences import Sequences, encode
from unroll.data.vocabulary import SPECIAL, Vocabulary
from unroll.errors import DataError

BOOK = Vocabulary([*"_ 0123456789+"], special={"pad": " ", "start": "_", "end": " "})
LETTERS = Vocabulary([*SPECIAL.values(), *"abc "], special=dict(SPECIAL))
WORDS = Vocabulary([*SPECIAL.values(), "the", "cat", "sat"], special=dict(SPECIAL), unit="word")


def test_texts_are_filled_at_their_end():
    found = encode(["1+2", "10+59"], BOOK, 5, "here")
    assert found.ids.tolist() == [[3, 12, 4, 1, 1], [3, 2, 12, 7, 11]]
    assert found.lengths.tolist() == [3, 5]
    assert (found.ids.dtype, found.lengths.dtype) == (np.int32, np.int32)
    assert (len(found), found.width) == (2, 5)


def test_what_fills_at_the_end_of_a_text_is_no_part_of_it():
    found = encode(["1+2  ", "1+2"], BOOK, 5, "here")
    assert found.ids[0].tolist() == found.ids[1].tolist()
    assert found.lengths.tolist() == [3, 3]


def test_start_and_end_stand_around_a_text_and_count():
    found = encode(["the cat", "sat"], WORDS, 5, "here", start=True, end=True)
    assert found.ids.tolist() == [[1, 4, 5, 2, 0], [1, 6, 2, 0, 0]]
    assert found.lengths.tolist() == [4, 3]


def test_an_answer_of_the_book_ends_with_what_fills_and_one_that_fills_all_has_no_end():
    found = encode(["91", "189", "1302"], BOOK, 5, "here", start=True, end=True)
    assert found.ids.tolist() == [[0, 11, 3, 1, 1], [0, 3, 10, 11, 1], [0, 3, 5, 2, 4]]
    assert found.lengths.tolist() == [4, 5, 5]


def test_no_texts_give_empty_arrays_of_the_right_width():
    found = encode([], BOOK, 5, "here")
    assert (found.ids.shape, found.lengths.shape) == ((0, 5), (0,))


def words(alphabet):
    return st.lists(st.sampled_from(alphabet), min_size=1, max_size=7)


TEXTS = {
    "the book's": (BOOK, st.text("0123456789+", min_size=1, max_size=7)),
    "characters": (LETTERS, st.text("abc ", min_size=1, max_size=7)),
    "words": (WORDS, words(["the", "cat", "sat"]).map(" ".join)),
}


@pytest.mark.parametrize(("vocabulary", "texts"), TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("around", [False, True], ids=["source", "target"])
@given(data=st.data())
def test_texts_come_back_with_their_lengths(vocabulary, texts, around, data):
    given = data.draw(st.lists(texts, min_size=1))
    more = 2 if around else 0
    found = encode(given, vocabulary, 7 + more, "here", start=around, end=around)
    assert found.ids.shape == (len(given), 7 + more)
    assert found.texts(vocabulary) == given
    symbols = [len(vocabulary.split(text)) for text in given]
    assert found.lengths.tolist() == [count + more for count in symbols]
    for row, length in zip(found.ids, found.lengths, strict=True):
        assert (row[length:] == vocabulary["pad"]).all()
        if around:
            assert (row[0], row[length - 1]) == (vocabulary["start"], vocabulary["end"])


@given(st.lists(st.text("0123456789", min_size=1, max_size=4), min_size=1))
def test_answers_of_the_book_come_back_also_where_no_end_fits(texts):
    found = encode(texts, BOOK, 5, "here", start=True, end=True)
    assert found.texts(BOOK) == texts
    assert found.lengths.tolist() == [min(len(text) + 2, 5) for text in texts]


@given(st.lists(st.sampled_from(["the", "cat", "dog", "yak"]), min_size=1, max_size=7))
def test_words_that_are_not_known_come_back_as_the_one_for_such(stream):
    found = encode([" ".join(stream)], WORDS, 7, "here")
    known = [word if word in WORDS.ids else SPECIAL["unknown"] for word in stream]
    assert found.texts(WORDS) == [" ".join(known)]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["1", ""], "date.txt, line 2: empty"),
        (["1", "2", "   "], "date.txt, line 3: empty"),
        (["123456"], "date.txt, line 1: '123456' has 6 symbols, at most 5 fit"),
        (["1", "2x"], "date.txt, line 2: 'x' is not in the vocabulary"),
    ],
)
def test_text_that_does_not_fit_is_named_with_its_line(texts, message):
    with pytest.raises(DataError) as caught:
        encode(texts, BOOK, 5, "date.txt")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("vocabulary", "text", "fault"),
    [
        (BOOK, "12345", "'12345' has 5 symbols, at most 4 fit"),
        (WORDS, "the cat sat the", "'the cat sat the' has 4 symbols, at most 3 fit"),
        (BOOK, "1 2", "'1 2' goes on after the symbol that ends an answer"),
        (WORDS, "the <eos> cat", "'the <eos> cat' goes on after the symbol that ends an answer"),
        (BOOK, "", "empty"),
        (WORDS, "", "empty"),
    ],
)
def test_answer_that_does_not_fit_is_named_with_its_line(vocabulary, text, fault):
    with pytest.raises(DataError) as caught:
        encode(["1" if vocabulary is BOOK else "the", text], vocabulary, 5, "valid", True, True)
    assert str(caught.value) == f"valid, line 2: {fault}"


def test_a_blank_within_a_question_is_a_symbol_like_others():
    found = encode(["1 2"], BOOK, 5, "here")
    assert (found.texts(BOOK), found.lengths.tolist()) == (["1 2"], [3])


def test_a_part_is_of_some_rows_with_their_lengths():
    whole = Sequences(np.arange(12).reshape(4, 3), np.array([1, 2, 3, 3]))
    for rows in (slice(1, 3), np.array([1, 2])):
        part = whole.part(rows)
        assert part.ids.tolist() == [[3, 4, 5], [6, 7, 8]]
        assert part.lengths.tolist() == [2, 3]
