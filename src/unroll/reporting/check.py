"""A fresh run against published results: what differs by more than seeds explain."""

import io
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from unroll.errors import DataError, first_line
from unroll.evaluation.statistics import holm
from unroll.runs.snapshot import refusal

DIFFERS = "differs by more than seeds explain"
MISSING = "missing here"
UNTESTED = "no test: one seed"
KEYS = ["task", "variant", "metric"]
COMPARED = ["mean", "std", "seeds"]


def committed(path: Path) -> pd.DataFrame:
    """Return a table of results as the last commit holds it.

    Raises:
        DataError: there is no such file in the last commit, or it is no such table.
    """
    try:
        command = ["git", "show", f"HEAD:./{path.as_posix()}"]
        shown = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        said = f" ({why})" if (why := refusal()) else ""
        raise DataError(f"git has no committed {path} to compare with{said}") from None
    try:
        table = pd.read_csv(io.BytesIO(shown))
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise DataError(f"the committed {path} cannot be read ({first_line(error)})") from None
    known = {*KEYS, *COMPARED} <= set(table.columns)
    if not known or any(table[name].dtype.kind not in "iuf" for name in COMPARED):
        raise DataError(f"the committed {path} is no table of results; commit a fresh one")
    return table


def differences(fresh: pd.DataFrame, published: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return both means of every variant and metric, and whether seeds explain the difference.

    The test is Welch's for two means with different variances; the p-values of means that are not
    equal are corrected for their number (Holm). Where either has one seed there is no test.
    """
    both = fresh.merge(published, on=KEYS, how="outer", suffixes=("", "_published"))
    same = np.isclose(both["mean"], both["mean_published"], rtol=1e-5, atol=0)
    rows = zip(both.to_dict("records"), same, strict=True)
    both["p_value"] = holm([np.nan if equal else _p_value(row) for row, equal in rows])
    both["verdict"] = np.select(
        [
            both["mean"].isna(),
            both["mean_published"].isna(),
            same,
            both["p_value"].isna(),
            both["p_value"] < 1 - confidence,
        ],
        [MISSING, "new", "equal", UNTESTED, DIFFERS],
        "within what seeds explain",
    )
    return both[[*KEYS, "mean", "mean_published", "p_value", "verdict"]]


def _p_value(row: Mapping[Any, Any]) -> float:
    here = [row[name] for name in COMPARED]
    there = [row[f"{name}_published"] for name in COMPARED]
    if np.isnan([*here, *there]).any() or min(here[2], there[2]) < 2:
        return float("nan")
    if here[1] == there[1] == 0:
        return float(here[0] == there[0])
    return float(stats.ttest_ind_from_stats(*here, *there, equal_var=False).pvalue)
