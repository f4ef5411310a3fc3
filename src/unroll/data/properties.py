"""What may make a test item easy or hard: the classes into which results are broken down."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LENGTHS = (1, 3, 5, 8, 13, 21)  # where bands of the lengths of sentences begin
CROSS = " × "  # between the names of two properties, and the labels of their classes


@dataclass(frozen=True)
class Property:
    """The class of each item: an index into the labels, which stand in their natural order."""

    name: str
    labels: tuple[str, ...]
    codes: np.ndarray  # (I,)


def of_values(name: str, values: Sequence[int] | Sequence[str]) -> Property:
    """Return a property whose classes are the values that occur, sorted."""
    labels, codes = np.unique(np.asarray(values), return_inverse=True)
    return Property(name, tuple(map(str, labels.tolist())), codes)


def of_bands(name: str, values: np.ndarray, starts: Sequence[int]) -> Property:
    """Return a property whose classes are bands of whole numbers, each from its start on."""
    codes = np.searchsorted(np.asarray(starts), values, side="right") - 1
    ends = [start - 1 for start in starts[1:]]
    labels = [f"{a:,}" if a == b else f"{a:,}–{b:,}" for a, b in zip(starts, ends, strict=False)]
    return Property(name, (*labels, f"{starts[-1]:,}–"), codes)


def of_lengths(name: str, lengths: Sequence[int]) -> Property:
    """Return the bands of the lengths of sentences, in symbols."""
    return of_bands(name, np.array(lengths), LENGTHS)


def crossed(one: Property, other: Property) -> Property:
    """Return a property with a class for each class of one and each of the other: a grid."""
    labels = tuple(f"{a}{CROSS}{b}" for a in one.labels for b in other.labels)
    codes = one.codes * len(other.labels) + other.codes
    return Property(f"{one.name}{CROSS}{other.name}", labels, codes)
