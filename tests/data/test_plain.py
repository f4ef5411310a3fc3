import pytest
from pydantic import ValidationError

from unroll.data.plain import PlainOptions

LOWER, BARE, WORDS = {"lower_case": True}, {"accents": "strip"}, {"punctuation": "strip"}


def plain(text: str, **options) -> str:
    return PlainOptions.model_validate(options).plain(text)


def test_without_options_a_text_keeps_its_letters_and_marks():
    assert plain("Où ça, M. Ü?  \u201cIci!\u201d") == "Où ça, M. Ü? \u201cIci!\u201d"


@pytest.mark.parametrize(
    ("text", "composed"),
    [("e\u0301te\u0301", "\u00e9t\u00e9"), ("\u1112\u1161\u11ab", "\ud55c"), ("\u212b", "\u00c5")],
)
def test_a_letter_is_one_symbol_however_it_was_typed(text, composed):
    assert plain(text) == composed


@pytest.mark.parametrize(
    "text", [" a  b ", "a\tb\n", "a\u00a0b", "a\u202fb", "a\u3000b", "\r\na\r\n\r\nb"]
)
def test_what_is_blank_is_one_blank_between_words(text):
    assert plain(text) == "a b"


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000"])
def test_of_blanks_nothing_is_left(text):
    assert plain(text) == ""


def test_lower_case_is_that_of_every_alphabet():
    assert plain("Àb ΓΔ ЖЙ 한 7", **LOWER) == "àb γδ жй 한 7"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Été, señor Dvořák", "Ete, senor Dvorak"),
        ("e\u0301", "e"),
        ("ế", "e"),  # two signs on one letter
        ("Αθήνα, ΐ", "Αθηνα, ι"),
        ("ёлка, май", "елка, маи"),
        ("Straße, smørrebrød", "Straße, smørrebrød"),  # letters of their own
    ],
)
def test_accents_of_latin_greek_and_cyrillic_are_stripped(text, left):
    assert plain(text, **BARE) == left


@pytest.mark.parametrize("text", ["हिन्दी", "한국어", "がんばれ", "ไทย", "தமிழ்", "שָׁלוֹם"])
def test_signs_that_are_vowels_stay(text):
    assert plain(text, **BARE) == text


def test_an_accent_is_that_of_the_letter_before_it():
    assert plain("e\u0301दि", **BARE) == "eदि"
    assert plain("\u0301e", **BARE) == "\u0301e"  # on nothing


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Wait... what?!", "Wait what"),
        ("yes,no;maybe", "yes no maybe"),
        ("¿Qué? «oui» “no”", "Qué oui no"),
        ("$5 + 3% = a_b", "5 3 a b"),
        ("何？はい。", "何 はい"),
        ("क्या?", "क्या"),
        ("?!", ""),
    ],
)
def test_punctuation_becomes_a_blank(text, left):
    assert plain(text, **WORDS) == left


@pytest.mark.parametrize("text", ["isn't", "isn’t", "well-known", "l'été", "rock-'n'-roll"])
def test_marks_within_words_stay(text):
    assert plain(text, **WORDS) == text


def test_all_options_go_together():
    assert plain("\u00abL'E\u0301TÉ\u202f!\u00bb", **LOWER, **BARE, **WORDS) == "l'ete"


@pytest.mark.parametrize(
    "wrong", [{"accents": "drop"}, {"punctuation": True}, {"lower_case": 1}, {"lower": True}]
)
def test_other_options_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        plain("a", **wrong)
