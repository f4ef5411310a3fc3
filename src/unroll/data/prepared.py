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
    arrays = read_arrays(folder / "arrays.safetensors", remedy)
    symbols = read_json(folder / "vocabulary.json", remedy)["symbols"]
    return {k: a.astype(np.int64) for k, a in arrays.items()}, Vocabulary(tuple(symbols)), facts
