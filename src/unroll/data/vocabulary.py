"""Symbols (characters or words), their ids, and what the special ones among them are for."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from unroll.errors import DataError
from unroll.options import Strict

Role = Literal["pad", "start", "end", "unknown"]
Unit = Literal["character", "word"]

# What the special symbols are called where they are no symbols of the text.
SPECIAL: dict[Role, str] = {"pad": "<pad>", "start": "<sos>", "end": "<eos>", "unknown": "<unk>"}


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
        cls, texts: Iterable[str], unit: Unit, *roles: Role, minimum_count: int = 1
    ) -> "Vocabulary":
        """Return the special symbols of these roles, and then the symbols of texts.

        Those that stand there less often than `minimum_count` are left out. A special symbol that
        stands in a text too (`<unk>`) is the same symbol.
        """
        special = {role: SPECIAL[role] for role in roles}
        empty = cls(["?"], unit=unit)
        counts = Counter(symbol for text in texts for symbol in empty.split(text))
        found = (symbol for symbol, count in counts.items() if count >= minimum_count)
        return cls(list(dict.fromkeys([*special.values(), *found])), special=special, unit=unit)

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
        """Return the symbols of a text: its characters, or what stands between white space."""
        return list(text) if self.unit == "character" else text.split()

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

    def decode(self, ids: Sequence[int]) -> list[str]:
        """Return the symbols of `ids`."""
        return [self.symbols[i] for i in ids]

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of a sequence: up to its end symbol, without start and filling."""
        symbols = self.decode(ids)
        start, end, pad = (self.special.get(role) for role in ("start", "end", "pad"))
        if symbols and symbols[0] == start:
            symbols = symbols[1:]
        if end is not None and end != pad and end in symbols:
            symbols = symbols[: symbols.index(end)]
        while symbols and symbols[-1] == pad:
            symbols.pop()
        return ("" if self.unit == "character" else " ").join(symbols)
