"""Prepared data on disk: arrays, vocabulary and facts in one folder that is checked when read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unroll.data.files import (
    check_folder,
    new_folder,
    read_arrays,
    read_json,
    write_arrays,
    write_json,
)
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError


def write_prepared(
    folder: Path,
    kind: str,
    arrays: Mapping[str, np.ndarray],
    vocabulary: Vocabulary,
    facts: Mapping[str, Any],
) -> None:
    """Write prepared data; an earlier folder is replaced only when all is written."""
    with new_folder(folder) as new:
        write_arrays(new / "arrays.safetensors", {k: a.astype(np.int32) for k, a in arrays.items()})
        write_json(new / "vocabulary.json", {"symbols": list(vocabulary.symbols)})
        write_json(new / "facts.json", {"kind": kind, **facts})


def read_prepared(
    folder: Path, kind: str, remedy: str
) -> tuple[dict[str, np.ndarray], Vocabulary, dict[str, Any]]:
    """Return the arrays (as int64), the vocabulary and the facts of prepared data.

    Raises:
        DataError: something is missing, damaged or of another kind; `remedy` says how to
            make it anew.
    """
    check_folder(folder, remedy)
    facts = read_json(folder / "facts.json", remedy)
    if facts.pop("kind", None) != kind:
        raise DataError(f"{folder} does not hold data of the kind {kind}; {remedy}")
    symbols = read_json(folder / "vocabulary.json", remedy).get("symbols")
    if not isinstance(symbols, list) or not all(isinstance(s, str) and s for s in symbols):
        raise DataError(f"{folder / 'vocabulary.json'} holds no list of symbols; {remedy}")
    try:
        vocabulary = Vocabulary(tuple(symbols))
    except DataError as error:
        raise DataError(f"{folder / 'vocabulary.json'}: {error}; {remedy}") from None
    path = folder / "arrays.safetensors"
    arrays = read_arrays(path, remedy)
    if not all(array.dtype.kind in "iu" for array in arrays.values()):
        raise DataError(f"{path} holds numbers that are no ids; {remedy}")
    return {name: array.astype(np.int64) for name, array in arrays.items()}, vocabulary, facts


def read_counts(folder: Path, remedy: str) -> dict[str, int]:
    """Return how many items each split of prepared data has, as its facts say.

    Raises:
        DataError: the file is missing, or does not say so.
    """
    path = folder / "facts.json"
    counts = read_json(path, remedy).get("counts")
    if (
        not isinstance(counts, dict)
        or "train" not in counts
        or not all(type(count) is int and count > 0 for count in counts.values())
    ):
        raise DataError(f"{path} does not say how many items each split has; {remedy}")
    return counts


def check_ids(
    folder: Path,
    arrays: Mapping[str, np.ndarray],
    dimensions: Mapping[str, int],
    symbols: int,
    remedy: str,
) -> None:
    """Check that the arrays are those named in `dimensions`, and hold ids of so many symbols.

    Raises:
        DataError: one is missing, is too many, has another number of dimensions, or is empty.
    """
    path, found = folder / "arrays.safetensors", {name: ids.ndim for name, ids in arrays.items()}
    if found != dict(dimensions):
        raise DataError(
            f"{path} holds {found or 'nothing'} (names and dimensions), expected "
            f"{dict(dimensions)}; {remedy}"
        )
    for name, ids in arrays.items():
        if not ids.size or ids.min() < 0 or ids.max() >= symbols:
            raise DataError(f"{path}: {name} is empty or holds ids of no symbol; {remedy}")
