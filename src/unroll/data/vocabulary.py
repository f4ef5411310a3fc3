"""Symbols (characters, words or tokens), their ids, and what the special ones among them are for.

Tokens are words and marks: `Qu'as-tu dit ?` is `Qu` `￭'￭` `as` `￭-￭` `tu` `dit` `?`. A joiner says
on which sides of a mark no blank stood, so that tokens become the text that they were.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from unroll.errors import DataError
from unroll.options import Strict

Role = Literal["pad", "start", "end", "unknown"]
Unit = Literal["character", "word", "token"]

# What the special symbols are called where they are no symbols of the text.
SPECIAL: dict[Role, str] = {"pad": "<pad>", "start": "<sos>", "end": "<eos>", "unknown": "<unk>"}
# What a text of a user's own cannot hold, as answers begin and end with it.
RESERVED = frozenset(SPECIAL.values()) - {SPECIAL["unknown"]}

JOINER = "\uffed"  # ￭, in a text the same as a blank


class Vocabulary(Strict):
    """Symbols in the order of their ids: `symbols[i]` has the id `i`.

    `special` names those symbols that stand for something else than themselves: what fills a
    sequence up (pad), what begins it (start) and ends it (end), and what takes the place of a
    symbol that is not known (unknown). In the book's data the blank is both filler and end.
    """

    symbols: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    special: dict[Role, str] = {}  # noqa: RUF012 - pydantic copies it
    unit: Unit = "character"
    _ids: dict[str, int] = PrivateAttr()

    def __init__(self, /, symbols: Any = None, **others: Any) -> None:
        given = {"symbols": list(symbols) if isinstance(symbols, tuple) else symbols}
        super().__init__(**given, **others)

    @model_validator(mode="after")
    def _symbols_differ(self) -> "Vocabulary":
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols)}
        if len(self._ids) != len(self.symbols):
            raise ValueError("a vocabulary holds the same symbol twice")
        for role, symbol in self.special.items():
            if symbol not in self._ids:
                raise ValueError(f"the vocabulary lacks {symbol!r}, its symbol for {role}")
        return self

    @classmethod
    def by_first_appearance(cls, symbols: Iterable[str], **others: Any) -> "Vocabulary":
        """Number the symbols in the order in which they first appear."""
        return cls(list(dict.fromkeys(symbols)), **others)

    @classmethod
    def of_texts(
        cls,
        texts: Iterable[str],
        unit: Unit,
        *roles: Role,
        minimum_count: int = 1,
        alphabet: str = "",
    ) -> "Vocabulary":
        """Return the special symbols of these roles, those of an alphabet, and then those of texts.

        Of texts, those that stand there less often than `minimum_count` are left out. A special
        symbol that stands in a text too (`<unk>`) is the same symbol.
        """
        special = {role: SPECIAL[role] for role in roles}
        counts = Counter(symbol for text in texts for symbol in split(text, unit))
        found = (symbol for symbol, count in counts.items() if count >= minimum_count)
        known = [*special.values(), *split(alphabet, unit), *found]
        return cls(list(dict.fromkeys(known)), special=special, unit=unit)

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def ids(self) -> dict[str, int]:
        """The id of each symbol."""
        return self._ids

    def __getitem__(self, role: Role) -> int:
        """Return the id of a special symbol; KeyError where there is none of this role."""
        return self._ids[self.special[role]]

    def split(self, text: str) -> list[str]:
        """Return the symbols of a text."""
        return split(text, self.unit)

    def encode(self, symbols: Iterable[str], place: str) -> list[int]:
        """Return the ids of `symbols`; `place` says where they stand.

        Raises:
            DataError: a symbol is not in the vocabulary, and none takes the place of such.
        """
        unknown = self._ids.get(self.special.get("unknown", ""))
        try:
            return [self._ids[s] if unknown is None else self._ids.get(s, unknown) for s in symbols]
        except KeyError as error:
            raise DataError(f"{place}: {error.args[0]!r} is not in the vocabulary") from None

    def unknown(self, text: str) -> list[str]:
        """Return the symbols of a text that are not in the vocabulary, as they stand there."""
        return [symbol.strip(JOINER) for symbol in self.split(text) if symbol not in self._ids]

    def decode(self, ids: Sequence[int]) -> list[str]:
        """Return the symbols of `ids`."""
        return [self.symbols[i] for i in ids]

    def text(self, ids: Sequence[int], others: Sequence[str | None] = ()) -> str:
        """Return the text of a sequence: up to its end symbol, without start and filling.

        `others` are symbols that stand in place of those of `ids`, where they are not None.
        """
        symbols = self.decode(ids)
        start, end, pad = (self.special.get(role) for role in ("start", "end", "pad"))
        if end is not None and end != pad and end in symbols:
            symbols = symbols[: symbols.index(end)]
        while symbols and symbols[-1] == pad:
            symbols.pop()
        for i, other in enumerate(others[: len(symbols)]):
            symbols[i] = symbols[i] if other is None else other
        return join(symbols[1:] if symbols and symbols[0] == start else symbols, self.unit)


def split(text: str, unit: Unit) -> list[str]:
    """Return the symbols of a text: characters, what stands between white space, or tokens."""
    if unit == "character":
        return list(text)
    return text.split() if unit == "word" else _tokens(text)


def join(symbols: Sequence[str], unit: Unit) -> str:
    """Return the text that has these symbols, its white space single blanks."""
    text = ("" if unit == "character" else " ").join(symbols)
    if unit == "token":
        text = text.replace(f" {JOINER}", "").replace(f"{JOINER} ", "").replace(JOINER, "")
    return text


@cache
def _token() -> re.Pattern[str]:
    """Return what finds a run of letters and digits, or one mark, each with what is put on it.

    In many scripts vowels are such signs (`हिन्दी`), and Python takes them for no letters.
    """
    signs = "".join(s for s in map(chr, range(0x20000)) if unicodedata.category(s)[0] == "M")
    return re.compile(rf"((?:[^\W_][{re.escape(signs)}]*)+)|[^\s{JOINER}][{re.escape(signs)}]*")


def _tokens(text: str) -> list[str]:
    found = list(_token().finditer(text))
    tokens = []
    for i, token in enumerate(found):
        before, after = found[i - 1] if i else None, found[i + 1] if i + 1 < len(found) else None
        if token[1]:  # a word: the marks beside it say what there is to be said
            tokens.append(token[0])
            continue
        left = JOINER if before is not None and before.end() == token.start() else ""
        right = JOINER if after and after[1] and after.start() == token.end() else ""
        tokens.append(f"{left}{token[0]}{right}")
    return tokens
