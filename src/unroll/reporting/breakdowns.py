"""Where variants fail: the breakdowns of their seeds taken together."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from unroll.evaluation.breakdown import MISTAKE
from unroll.reporting.results import Result

COLUMNS = ["variant", "property", "value", "items", "mean", "std", "confidence"]
MISTAKES = 20  # the most frequent ones are kept


def together(results: Mapping[str, Result]) -> pd.DataFrame:
    """Return the breakdown of each variant: a row per property and class.

    `mean` is over the items of all seeds: the share of right answers, or the perplexity; of a
    mistake it is its share of the wrong answers. `std` is that of the seeds, `confidence` what the
    models give to their answers.
    """
    rows = []
    for variant, result in results.items():
        for name, group in result.breakdown.groupby("property", sort=False):
            found = _mistakes(group, result) if name == MISTAKE else _classes(group)
            rows += [{"variant": variant, "property": name, **row} for row in found]
    return pd.DataFrame(rows, columns=COLUMNS)


def _classes(group: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the classes of one property in their natural order."""
    classes = group.groupby("value", sort=False)
    rows = [{"value": str(value), **_class(rows)} for value, rows in classes]
    return sorted(rows, key=lambda row: numbers(row["value"]))


def _class(rows: pd.DataFrame) -> dict[str, Any]:
    items = rows["items"]
    if "perplexity" in rows:
        mean = np.exp(np.average(np.log(rows["perplexity"]), weights=items))
        return {"items": items.sum(), "mean": mean, "std": rows["perplexity"].std()}
    return {
        "items": items.sum(),
        "mean": np.average(rows["right"], weights=items),
        "std": rows["right"].std(),
        "confidence": np.average(rows["confidence"], weights=items),
    }


def _mistakes(group: pd.DataFrame, result: Result) -> list[dict[str, Any]]:
    """Return the mistakes, the most frequent ones first."""
    wrong = sum(int((items["right"] == 0).sum()) for items in result.items)
    rows = [
        {"value": str(value), **_class(rows), "mean": rows["items"].sum() / wrong, "std": np.nan}
        for value, rows in group.groupby("value", sort=False)
    ]
    return sorted(rows, key=lambda row: -row["items"])[:MISTAKES]


def numbers(label: str) -> tuple[float, ...]:
    """Return the numbers of a label, by which labels are sorted: `2+3`, `10–99`, `1,000–`."""
    return tuple(float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*\.?\d*", label))
