"""Sequences of different lengths in one matrix, with their lengths: never guessed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Sequences:
    """N sequences: ids (N, T), filled up at their ends, and lengths (N,), 1 to T."""

    ids: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def width(self) -> int:
        """T: no sequence is longer."""
        return int(self.ids.shape[1])

    def texts(self, vocabulary: Vocabulary) -> list[str]:
        """Return the sequences as texts."""
        return [vocabulary.text(row) for row in self.ids.tolist()]

    def part(self, rows: slice | np.ndarray) -> "Sequences":
        """Return some of the sequences."""
        return Sequences(self.ids[rows], self.lengths[rows])


def encode(
    texts: Sequence[str],
    vocabulary: Vocabulary,
    width: int,
    place: str,
    start: bool = False,
    end: bool = False,
) -> Sequences:
    """Return texts as sequences of ids of at most `width` symbols.

    With `start` and `end`, the vocabulary's symbols for these stand around each text. Where the end
    symbol is the one that fills (as in the book's data), a text that fills all has none.

    Raises:
        DataError: a text is empty, is too long or holds an unknown symbol; the message
            begins with `place` and the number of the text, from 1.
    """
    pad = vocabulary["pad"]
    ids = np.full((len(texts), width), pad, dtype=np.int32)
    lengths = np.empty(len(texts), dtype=np.int32)
    first = [vocabulary["start"]] if start else []
    last = [vocabulary["end"]] if end else []
    may_lack_end = last == [pad]
    for i, text in enumerate(texts):
        where = f"{place}, line {i + 1}"
        found = vocabulary.encode(vocabulary.split(text), where)
        while found and found[-1] == pad:
            found.pop()
        if not found:
            raise DataError(f"{where}: empty")
        if last and last[0] in found:
            raise DataError(f"{where}: {text!r} goes on after the symbol that ends an answer")
        row = [*first, *found, *last]
        if len(row) > width and not (may_lack_end and len(row) == width + 1):
            most = width - len(first) - (0 if may_lack_end else len(last))
            raise DataError(f"{where}: {text!r} has {len(found)} symbols, at most {most} fit")
        row = row[:width]
        ids[i, : len(row)], lengths[i] = row, len(row)
    return Sequences(ids, lengths)
