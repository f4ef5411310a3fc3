"""The table of a study: one row per variant and metric."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from unroll.config import Study
from unroll.evaluation.statistics import Estimate, estimate, holm, superiority
from unroll.reporting.results import Result, is_perplexity
from unroll.seeds import numpy_generator

COLUMNS = [
    "study", "task", "variant", "metric", "parameters", "seeds", "mean", "std", "low", "high",
    "reference", "verdict", "seconds",
]  # fmt: skip


def compare(study: Study, results: Mapping[str, Result], verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return every metric of every variant with its interval and its verdict."""
    rows = []
    for variant, result in results.items():
        for metric, scores in result.scores.groupby("metric", sort=False)["value"]:
            found = _estimate(study, result.outcomes(str(metric), result.seeds), variant, metric)
            rows.append(
                {
                    "study": study.name,
                    "task": study.variants[variant].task,
                    "variant": variant,
                    "metric": metric,
                    "parameters": result.parameters,
                    "seeds": len(scores),
                    "mean": scores.mean(),
                    "std": scores.std(),  # of a sample: empty where there is one seed
                    **_bounds(str(metric), found),
                    "seconds": result.seconds,
                }
            )
    keys = ["variant", "metric"]
    table = pd.DataFrame(rows).merge(verdicts[[*keys, "reference", "verdict"]], "left", keys)
    return table[COLUMNS]


def judge(study: Study, results: Mapping[str, Result]) -> pd.DataFrame:
    """Return each variant against its reference, on the seeds that both have.

    A row per variant and metric: the difference (of perplexities: their ratio less one) with
    its interval, the p-value, the same corrected for the number of variants that are judged by
    this metric, the probability of superiority, and the verdict in plain words.
    """
    rows = [
        _against(study, results[variant], results[reference], variant, reference, str(metric))
        for variant in results
        if (reference := study.reference(variant)) is not None and reference in results
        for metric in results[variant].scores["metric"].unique()
    ]
    columns = [
        "task", "variant", "reference", "metric", "seeds", "difference", "low", "high",
        "superiority", "p_value", "p_corrected", "verdict",
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    by_metric = table.groupby(["task", "metric"])["p_value"]
    table["p_corrected"] = by_metric.transform(lambda values: holm(values.tolist()))
    table["verdict"] = [verdict(row, study.comparison.confidence) for row in dicts(table)]
    return table


def _against(
    study: Study, one: Result, other: Result, variant: str, reference: str, metric: str
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "task": study.variants[variant].task,
        "variant": variant,
        "reference": reference,
        "metric": metric,
        "seeds": len(common := [seed for seed in one.seeds if seed in other.seeds]),
    }
    if not common:
        return row
    ours, theirs = one.outcomes(metric, common), other.outcomes(metric, common)
    found = _estimate(study, ours - theirs, variant, reference, metric)
    sign = -1 if is_perplexity(metric) else 1
    better = superiority(sign * ours.mean(axis=1), sign * theirs.mean(axis=1))
    bounds = np.array([found.mean, found.low, found.high])
    # Those of perplexities are logarithms until here; shares cannot differ by more than 1.
    bounds = np.expm1(bounds) if is_perplexity(metric) else bounds.clip(-1, 1)
    named = dict(zip(("difference", "low", "high"), bounds.tolist(), strict=True))
    return {**row, **named, "superiority": better, "p_value": found.p_value}


def verdict(row: Mapping[str, Any], confidence: float) -> str:
    """Say in plain words what can be said of a variant and its reference."""
    if row["seeds"] < 2:
        return "cannot be told at one seed" if row["seeds"] else "no seed in common"
    if not row["p_corrected"] < 1 - confidence:
        return f"cannot be told at {row['seeds']} seeds"
    return "better" if (row["difference"] > 0) != is_perplexity(row["metric"]) else "worse"


def _estimate(study: Study, values: np.ndarray, *names: object) -> Estimate:
    options = study.comparison
    random = numpy_generator(options.seed, "bootstrap", study.name, *map(str, names))
    return estimate(values, options.confidence, options.resamples, random)


def _bounds(metric: str, found: Estimate) -> dict[str, float]:
    if is_perplexity(metric):
        return {"low": max(float(np.exp(found.low)), 1.0), "high": float(np.exp(found.high))}
    return {"low": max(found.low, 0.0), "high": min(found.high, 1.0)}


def dicts(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
