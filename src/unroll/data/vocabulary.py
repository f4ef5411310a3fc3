"""Symbols (characters or words) and their ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from unroll.errors import DataError


@dataclass(frozen=True)
class Vocabulary:
    """Symbols in the order of their ids: `symbols[i]` has the id `i`."""

    symbols: tuple[str, ...]
    ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", {s: i for i, s in enumerate(self.symbols)})
        if len(self.ids) != len(self.symbols):
            raise DataError("a vocabulary holds the same symbol twice")

    @classmethod
    def by_first_appearance(cls, symbols: Iterable[str]) -> "Vocabulary":
        """Number the symbols in the order in which they first appear."""
        return cls(tuple(dict.fromkeys(symbols)))

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, symbols: Iterable[str], place: str) -> list[int]:
        """Return the ids of `symbols`; `place` says where they stand.

        Raises:
            DataError: a symbol is not in the vocabulary.
        """
        try:
            return [self.ids[s] for s in symbols]
        except KeyError as error:
            raise DataError(f"{place}: {error.args[0]!r} is not in the vocabulary") from None

    def decode(self, ids: Sequence[int]) -> list[str]:
        """Return the symbols of `ids`."""
        return [self.symbols[i] for i in ids]
