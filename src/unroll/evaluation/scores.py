"""The scores of a variant on disk: one row per seed and metric."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from unroll.data.files import write_text
from unroll.errors import DataError

COLUMNS = ["seed", "metric", "value"]


def write_scores(path: Path, scores: Mapping[int, Mapping[str, float]]) -> None:
    """Write the scores of a variant's seeds: one row per seed and metric."""
    rows = [(s, metric, v) for s, metrics in scores.items() for metric, v in metrics.items()]
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_text(path, table.to_csv(index=False, lineterminator="\n", float_format="%.6g"))


def read_scores(path: Path, remedy: str) -> pd.DataFrame:
    """Return the scores of a variant's seeds.

    Raises:
        DataError: the file is missing or has other columns.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); {remedy}") from None
    if list(table.columns) != COLUMNS:
        raise DataError(f"{path} has the columns {', '.join(table.columns)}; {remedy}")
    return table
