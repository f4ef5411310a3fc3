"""Prepared data on disk: a form, facts and arrays in one folder that is checked when read.

Arrays are files in NumPy's own format, which are mapped and not read: they may be larger than the
memory. The form (form.json) is what a model must know of its data, the facts are for people.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from unroll.data.sequences import SPLITS, Sequences
from unroll.errors import DataError
from unroll.options import Strict
from unroll.storage.files import (
    LARGEST_TEXT,
    read_json,
    read_mapped,
    write_json,
    write_mapped,
)
from unroll.storage.folders import check_folder, new_folder

F = TypeVar("F", bound=Strict)
T = TypeVar("T")

TEXTS = "texts"  # the document that holds them, where there are any
LENGTHS = "lengths"  # how the name of an array of lengths ends
ROWS = 100_000  # looked at together


def write_prepared(
    folder: Path,
    kind: str,
    form: Strict,
    facts: Mapping[str, Any],
    sequences: Mapping[str, Sequences],
    arrays: Mapping[str, np.ndarray] | None = None,
    documents: Mapping[str, object] | None = None,
) -> None:
    """Write prepared data; an earlier folder is replaced only when all is written.

    `documents` are what is written as JSON beside them, by name.
    """
    everything = dict(arrays or {})
    for name, found in sequences.items():
        everything |= {name: found.ids, f"{name}.{LENGTHS}": found.lengths}
    with new_folder(folder) as new:
        for name, array in everything.items():
            kept = array if array.dtype == np.uint8 else array.astype(np.int32, copy=False)
            write_mapped(new / f"{name}.npy", kept)
        write_json(new / "form.json", form.model_dump(exclude_none=True))
        write_json(new / "facts.json", {"kind": kind, **facts})
        for name, document in (documents or {}).items():
            write_json(new / f"{name}.json", document)


def read_prepared(
    folder: Path, kind: str, form: type[F]
) -> tuple[F, dict[str, Any], dict[str, np.ndarray]]:
    """Return the form, the facts and the arrays of prepared data.

    Raises:
        DataError: something is missing, damaged or of another kind.
    """
    check_folder(folder)
    facts = read_json(folder / "facts.json")
    if facts.pop("kind", None) != kind:
        raise DataError(f"{folder} does not hold data of the kind {kind}")
    found = folder.glob("[!.]*.npy")  # hidden files belong to desktops and editors
    arrays = {path.name.removesuffix(".npy"): read_mapped(path) for path in found}
    for name, array in arrays.items():
        if array.dtype not in (np.int32, np.uint8) or not array.size:
            raise DataError(f"{folder / name}.npy is empty or holds numbers that are no ids")
    return read_form(folder, form), facts, arrays


def read_form(folder: Path, form: type[F]) -> F:
    """Return the form that stands in a folder.

    Raises:
        DataError: it is missing or is none.
    """
    path = folder / "form.json"
    raw = read_json(path)
    try:
        return form.model_validate(raw)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(key) for key in fault["loc"])
        raise DataError(f"{path} holds no form of data ({place}: {fault['msg']})") from None


def read_texts(folder: Path, form: type[T]) -> dict[str, T] | None:
    """Return the texts of each split, where prepared data have them.

    Raises:
        DataError: the file does not hold them in this form.
    """
    path = folder / f"{TEXTS}.json"
    if not path.is_file():
        return None
    raw = read_json(path, LARGEST_TEXT)  # that of the file from which they come
    try:
        return {s: TypeAdapter(form).validate_python(raw.get(s), strict=True) for s in SPLITS}
    except ValidationError:
        raise DataError(f"{path} does not hold the texts of each split") from None


def read_counts(folder: Path) -> dict[str, int]:
    """Return how many items each split of prepared data has, as its facts say.

    Raises:
        DataError: the file is missing, or does not say so.
    """
    path = folder / "facts.json"
    return checked_counts(path, read_json(path).get("counts"))


def checked_counts(path: Path, counts: object) -> dict[str, int]:
    """Return what a file says how many items each split has.

    Raises:
        DataError: it does not say so.
    """
    if (
        not isinstance(counts, dict)
        or "train" not in counts
        or not all(type(count) is int and count > 0 for count in counts.values())
    ):
        raise DataError(f"{path} does not say how many items each split has")
    return counts


def check_sequences(
    folder: Path, arrays: Mapping[str, np.ndarray], bounds: Mapping[str, tuple[int, int]]
) -> dict[str, Sequences]:
    """Return the sequences that are named in `bounds`, with their width and number of symbols.

    Raises:
        DataError: one is missing or is too many, or its numbers are no ids or no lengths.
    """
    wanted = {name for one in bounds for name in (one, f"{one}.{LENGTHS}")}
    if arrays.keys() != wanted:
        odd = ", ".join(sorted(arrays.keys() ^ wanted))
        raise DataError(f"{folder} does not hold the arrays that it should ({odd})")
    found = {}
    for name, (width, symbols) in bounds.items():
        ids, lengths = arrays[name], arrays[f"{name}.{LENGTHS}"]
        if ids.ndim != 2 or lengths.shape != ids.shape[:1] or ids.shape[1] != width:
            raise DataError(f"{folder}: {name} is not of the shape that form.json says")
        check_ids(folder, name, ids, symbols)
        if lengths.min() < 1 or lengths.max() > width:
            raise DataError(f"{folder}: {name} holds lengths that no sequence can have")
        found[name] = Sequences(ids, lengths)
    return found


def check_ids(folder: Path, name: str, ids: np.ndarray, symbols: int) -> None:
    """Check that an array holds ids of so many symbols, some rows at a time.

    Raises:
        DataError: it does not.
    """
    for first in range(0, len(ids), ROWS):
        rows = ids[first : first + ROWS]
        if rows.min() < 0 or rows.max() >= symbols:
            raise DataError(f"{folder}: {name} holds ids of no symbol")
