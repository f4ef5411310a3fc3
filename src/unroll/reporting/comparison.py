"""The table of a study: one row per variant and score."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from unroll.evaluation.statistics import Estimate, estimate, holm, superiority
from unroll.metrics import Metric
from unroll.reporting.results import Result
from unroll.seeds import numpy_generator
from unroll.study import Study

COLUMNS = [
    "study", "task", "variant", "metric", "parameters", "seeds", "mean", "std", "low", "high",
    "reference", "verdict", "seconds",
]  # fmt: skip


def compare(study: Study, results: Mapping[str, Result], verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return every score of every variant with its interval and its verdict."""
    rows = []
    for variant, result in results.items():
        for score, values in result.scores.groupby("metric", sort=False)["value"]:
            metric = result.kind.metric(str(score))
            found = _estimate(study, result.outcomes(str(score), result.seeds), variant, score)
            rows.append(
                {
                    "study": study.name,
                    "task": study.variants[variant].task,
                    "variant": variant,
                    "metric": score,
                    "parameters": result.parameters,
                    "seeds": len(values),
                    "mean": values.mean(),
                    "std": values.std(),  # of a sample: empty where there is one seed
                    **_bounds(metric, found),
                    "seconds": result.seconds,
                }
            )
    keys = ["variant", "metric"]
    table = pd.DataFrame(rows).merge(verdicts[[*keys, "reference", "verdict"]], "left", keys)
    return table[COLUMNS]


def judge(study: Study, results: Mapping[str, Result]) -> pd.DataFrame:
    """Return each variant against its reference, on the seeds that both have.

    A row per variant and score: the difference (of what is compared as a logarithm: the ratio less
    one) with its interval, the p-value, the same corrected for the number of variants that are
    judged by this score, the probability of superiority, and the verdict in plain words.
    """
    rows = [
        _against(study, results[variant], results[reference], variant, reference, str(score))
        for variant in results
        if (reference := study.reference(variant)) is not None and reference in results
        for score in results[variant].scores["metric"].unique()
    ]
    columns = [
        "task", "variant", "reference", "metric", "seeds", "difference", "low", "high",
        "superiority", "p_value", "p_corrected", "verdict",
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    by_score = table.groupby(["task", "metric"])["p_value"]
    table["p_corrected"] = by_score.transform(lambda values: holm(values.tolist()))
    table["verdict"] = [
        verdict(
            row, results[row["variant"]].kind.metric(row["metric"]), study.comparison.confidence
        )
        for row in dicts(table)
    ]
    return table


def _against(
    study: Study, one: Result, other: Result, variant: str, reference: str, score: str
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "task": study.variants[variant].task,
        "variant": variant,
        "reference": reference,
        "metric": score,
        "seeds": len(common := [seed for seed in one.seeds if seed in other.seeds]),
    }
    if not common:
        return row
    metric = one.kind.metric(score)
    ours, theirs = one.outcomes(score, common), other.outcomes(score, common)
    found = _estimate(study, ours - theirs, variant, reference, score)
    better = superiority(metric.sign * ours.mean(axis=1), metric.sign * theirs.mean(axis=1))
    bounds = {"difference": found.mean, "low": found.low, "high": found.high}
    named = {
        name: metric.clip_difference(metric.scale.difference(bound))
        for name, bound in bounds.items()
    }
    return {**row, **named, "superiority": better, "p_value": found.p_value}


def verdict(row: Mapping[str, Any], metric: Metric, confidence: float) -> str:
    """Say in plain words what can be said of a variant and its reference."""
    if row["seeds"] < 2:
        return "cannot be told at one seed" if row["seeds"] else "no seed in common"
    if not row["p_corrected"] < 1 - confidence:
        return f"cannot be told at {row['seeds']} seeds"
    return "better" if metric.sign * row["difference"] > 0 else "worse"


def _estimate(study: Study, values: np.ndarray, *names: object) -> Estimate:
    options = study.comparison
    random = numpy_generator(options.seed, "bootstrap", study.name, *map(str, names))
    return estimate(values, options.confidence, options.resamples, random)


def _bounds(metric: Metric, found: Estimate) -> dict[str, float]:
    low, high = metric.scale.back([found.low, found.high]).tolist()
    return {"low": metric.clip(low), "high": metric.clip(high)}


def dicts(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
