"""Tables as CSV files."""

import io
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from unroll.data.files import LARGEST_TEXT, read_bytes, write_text
from unroll.errors import DataError, first_line


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table, numbers with six significant digits."""
    write_text(path, table.to_csv(index=False, lineterminator="\n", float_format="%.6g"))


def read_table(
    path: Path, columns: list[str], remedy: str, numbers: Collection[str] = ()
) -> pd.DataFrame:
    """Return a table; an empty field is not a number.

    Raises:
        DataError: the file is missing or no table, has other columns, or a column of `numbers`
            holds something else.
    """
    try:
        table = pd.read_csv(io.BytesIO(read_bytes(path, LARGEST_TEXT)))
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise DataError(f"{path} cannot be read ({first_line(error)}); {remedy}") from None
    if list(table.columns) != columns:
        raise DataError(f"{path} has the columns {', '.join(map(str, table.columns))}; {remedy}")
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes them for names of the rows
        raise DataError(f"{path} has rows of more fields than it has columns; {remedy}")
    for column in numbers:
        if table[column].dtype.kind not in "iuf":
            raise DataError(f"{path}: the column {column} holds more than numbers; {remedy}")
    return table
