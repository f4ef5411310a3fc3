import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError

symbols = st.lists(st.text(min_size=1, max_size=3), min_size=1)


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
    assert vocabulary.symbols == ("1", "6", "+", "7", "5", " ", "_", "9")
    assert vocabulary.encode("61_5", "here") == [1, 0, 6, 4]
    assert vocabulary.decode([7, 7, 2]) == ["9", "9", "+"]
    assert len(vocabulary) == 8


def test_unknown_symbol_is_named_with_its_place():
    with pytest.raises(DataError, match=r"^ptb\.test\.txt, line 3: 'x' is not in the vocabulary$"):
        Vocabulary(("a", "b")).encode("abxy", "ptb.test.txt, line 3")


def test_same_symbol_twice_is_refused():
    with pytest.raises(DataError, match="same symbol twice"):
        Vocabulary(("a", "b", "a"))


def test_vocabularies_are_equal_when_symbols_and_order_are():
    assert Vocabulary(("a", "b")) == Vocabulary.by_first_appearance("abab")
    assert Vocabulary(("a", "b")) != Vocabulary(("b", "a"))
