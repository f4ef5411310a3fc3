"""Pairs: source sequences and the target sequences that answer them.

All sequences of one kind have one length; shorter texts are filled with blanks at the
end. A target begins with the start symbol, which is given to the decoder and never
predicted.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unroll.data.prepared import check_ids, read_prepared, write_prepared
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError

BLANK = " "
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Pairs:
    """Prepared pairs: for each split, sources (N, T) and targets (N, T')."""

    vocabulary: Vocabulary
    sources: dict[str, np.ndarray]
    targets: dict[str, np.ndarray]
    facts: dict[str, Any]

    @property
    def blank(self) -> int:
        """The id of the symbol that fills a text up to its length."""
        return self.vocabulary.ids[BLANK]

    @property
    def form(self) -> dict[str, Any]:
        """What a model must know of the data to answer a text: lengths and start symbol."""
        return {
            "source_length": int(self.sources["train"].shape[1]),
            "target_length": int(self.targets["train"].shape[1]),
            "start": self.vocabulary.symbols[int(self.targets["train"][0, 0])],
        }


def encode_lines(texts: list[str], length: int, vocabulary: Vocabulary, place: str) -> np.ndarray:
    """Return the ids (N, length) of texts, each filled with blanks at its end.

    Raises:
        DataError: a text is empty, is longer than `length` or holds an unknown symbol; the message
            begins with `place` and the number of the text, from 1.
    """
    for number, text in enumerate(texts, 1):
        if not text.strip(BLANK):
            raise DataError(f"{place}, line {number}: empty")
        if len(text) > length:
            raise DataError(
                f"{place}, line {number}: {text!r} has {len(text)} symbols, at most {length} fit"
            )
    rows = [
        vocabulary.encode(text.ljust(length, BLANK), f"{place}, line {number}")
        for number, text in enumerate(texts, 1)
    ]
    return np.array(rows, dtype=np.int64).reshape(len(texts), length)


def save_pairs(pairs: Pairs, folder: Path) -> None:
    """Write prepared pairs; an earlier folder is replaced only when all is written."""
    arrays = {f"{split}.source": pairs.sources[split] for split in SPLITS}
    arrays |= {f"{split}.target": pairs.targets[split] for split in SPLITS}
    write_prepared(folder, "pairs", arrays, pairs.vocabulary, pairs.facts)


def load_pairs(folder: Path, remedy: str) -> Pairs:
    """Read prepared pairs.

    Raises:
        DataError: something is missing or damaged; `remedy` says how to make it anew.
    """
    arrays, vocabulary, facts = read_prepared(folder, "pairs", remedy)
    sides = [f"{split}.{side}" for split in SPLITS for side in ("source", "target")]
    check_ids(folder, arrays, dict.fromkeys(sides, 2), len(vocabulary), remedy)
    _check_pairs(folder, arrays, vocabulary, remedy)
    sources = {split: arrays[f"{split}.source"] for split in SPLITS}
    targets = {split: arrays[f"{split}.target"] for split in SPLITS}
    return Pairs(vocabulary, sources, targets, facts)


def _check_pairs(
    folder: Path, arrays: dict[str, np.ndarray], vocabulary: Vocabulary, remedy: str
) -> None:
    sources, targets = ([arrays[f"{s}.{side}"] for s in SPLITS] for side in ("source", "target"))
    fault = None
    if any(len(s) != len(t) for s, t in zip(sources, targets, strict=True)):
        fault = "a split has more sources than targets, or fewer"
    elif any(len({ids.shape[1] for ids in side}) > 1 for side in (sources, targets)):
        fault = "the splits have sequences of different lengths"
    elif targets[0].shape[1] < 2:
        fault = "the targets have no room for an answer"
    elif len({int(start) for ids in targets for start in np.unique(ids[:, 0])}) > 1:
        fault = "not all targets begin with one start symbol"
    elif BLANK not in vocabulary.ids:
        fault = "the vocabulary has no blank"
    if fault:
        raise DataError(f"{folder}: {fault}; {remedy}")
