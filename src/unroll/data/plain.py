"""Texts in the form in which a model has them: blanks, letter case, accents, punctuation."""

import unicodedata
from typing import Literal

from unroll.options import Strict

WITHIN_WORDS = "'’-"  # marks that are no punctuation
ALPHABETS = ("LATIN", "GREEK", "CYRILLIC")  # whose signs are accents: elsewhere they are vowels


class PlainOptions(Strict):
    """What of its letters and marks a text keeps."""

    lower_case: bool = False
    accents: Literal["keep", "strip"] = "keep"
    punctuation: Literal["keep", "strip"] = "keep"

    def plain(self, text: str) -> str:
        """Return a text with single blanks, and with what is kept of it."""
        plain = unicodedata.normalize("NFC", text)
        if self.lower_case:
            plain = unicodedata.normalize("NFC", plain.lower())
        if self.accents == "strip":
            plain = _without_accents(plain)
        if self.punctuation == "strip":
            plain = "".join(" " if _is_punctuation(symbol) else symbol for symbol in plain)
        return " ".join(plain.split())


def _is_punctuation(symbol: str) -> bool:
    return unicodedata.category(symbol)[0] in "PS" and symbol not in WITHIN_WORDS


def _without_accents(text: str) -> str:
    kept, base = [], ""
    for symbol in unicodedata.normalize("NFD", text):
        if unicodedata.category(symbol) != "Mn":
            base = symbol
        elif unicodedata.name(base or " ", "").startswith(ALPHABETS):
            continue
        kept.append(symbol)
    return unicodedata.normalize("NFC", "".join(kept))
