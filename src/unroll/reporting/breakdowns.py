"""Where variants fail: the breakdowns of their seeds taken together."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from unroll.data.properties import CROSS
from unroll.evaluation.breakdown import CONFUSION, MISTAKE
from unroll.metrics import Metric
from unroll.reporting.results import Result

COLUMNS = ["variant", "property", "value", "items", "mean", "std", "confidence"]
MISTAKES = 20  # the most frequent ones are kept


def together(results: Mapping[str, Result]) -> pd.DataFrame:
    """Return the breakdown of each variant: a row per property and class.

    `mean` is that of the metric that decides over the items of all seeds; of a mistake it is its
    share of the wrong answers, of an answer to a label its share of these. `std` is that of the
    seeds, `confidence` what the models give to their answers, where they have such an opinion.
    """
    rows = []
    for variant, result in results.items():
        metric = result.kind.main
        for name, group in result.breakdown.groupby("property", sort=False):
            found = TOGETHER.get(str(name), _classes)(group, metric)
            rows += [{"variant": variant, "property": name, **row} for row in found]
    return pd.DataFrame(rows, columns=COLUMNS)


def _classes(group: pd.DataFrame, metric: Metric) -> list[dict[str, Any]]:
    """Return the classes of one property in their natural order."""
    classes = group.groupby("value", sort=False)
    rows = [{"value": str(value), **_class(rows, metric)} for value, rows in classes]
    return sorted(rows, key=lambda row: numbers(row["value"]))


def _class(rows: pd.DataFrame, metric: Metric) -> dict[str, Any]:
    items, scale = rows["items"], metric.scale
    return {
        "items": items.sum(),
        "mean": float(scale.back(np.average(scale.to(rows["mean"]), weights=items))),
        "std": rows["mean"].std(),
        "confidence": np.average(rows["confidence"], weights=items),
    }


def _mistakes(group: pd.DataFrame, metric: Metric) -> list[dict[str, Any]]:
    """Return the mistakes, the most frequent ones first."""
    wrong = group["items"].sum()
    rows = [
        {
            **_class(rows, metric),
            "value": str(value),
            "mean": rows["items"].sum() / wrong,
            "std": np.nan,
        }
        for value, rows in group.groupby("value", sort=False)
    ]
    return sorted(rows, key=lambda row: -row["items"])[:MISTAKES]


def _confusion(group: pd.DataFrame, metric: Metric) -> list[dict[str, Any]]:
    """Return how the items of each label were answered, in the order of the labels."""
    group = group.assign(label=[value.partition(CROSS)[0] for value in group["value"]])
    of_label = group.groupby("label")["items"].sum()
    return [
        {
            **_class(rows, metric),
            "value": str(value),
            "mean": rows["items"].sum() / of_label[rows["label"].iloc[0]],
            "std": np.nan,
        }
        for value, rows in sorted(group.groupby("value"))
    ]


TOGETHER = {MISTAKE: _mistakes, CONFUSION: _confusion}


def numbers(label: str) -> tuple[float, ...]:
    """Return the numbers of a label, by which labels are sorted: `2+3`, `10–99`, `1,000–`."""
    return tuple(float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*\.?\d*", label))
