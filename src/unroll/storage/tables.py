"""Tables as CSV files."""

import io
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from unroll.errors import DataError, first_line
from unroll.storage.files import LARGEST_TEXT, read_bytes, write_text


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table, numbers with six significant digits."""
    write_text(path, table.to_csv(index=False, lineterminator="\n", float_format="%.6g"))


def read_table(path: Path, columns: list[str], numbers: Collection[str] = ()) -> pd.DataFrame:
    """Return a table; an empty field is not a number.

    Raises:
        DataError: the file is missing or no table, has other columns, or a column of `numbers`
            holds something else.
    """
    table = _read(path)
    if list(table.columns) != columns:
        raise DataError(f"{path} has the columns {', '.join(map(str, table.columns))}")
    for column in numbers:
        if table[column].dtype.kind not in "iuf":
            raise DataError(f"{path}: the column {column} holds more than numbers")
    return table


def read_numbers(path: Path, keys: list[str]) -> pd.DataFrame:
    """Return a table of finite numbers: one row for each value of `keys`, which are whole.

    Raises:
        DataError: the file is missing or no such table.
    """
    table = _read(path)
    finite = all(kind.kind in "iuf" for kind in table.dtypes) and np.isfinite(table).all(axis=None)
    whole = all(key in table and table[key].dtype.kind in "iu" for key in keys)
    if not finite or not whole or table.duplicated(keys).any():
        raise DataError(f"{path} does not hold a row of numbers for each {' and '.join(keys)}")
    return table


def _read(path: Path) -> pd.DataFrame:
    content = read_bytes(path, LARGEST_TEXT)
    try:
        table = pd.read_csv(io.BytesIO(content))
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise DataError(f"{path} cannot be read ({first_line(error)})") from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes them for names of the rows
        raise DataError(f"{path} has rows of more fields than it has columns")
    return table
