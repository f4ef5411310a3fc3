"""The table of a study: one row per variant and score, and each variant against its reference."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from unroll.evaluation.modes import Modes, border, modes, p_value_of_shares
from unroll.evaluation.statistics import Estimate, estimate, holm, seeds_that_tell, superiority
from unroll.metrics import Metric
from unroll.reporting.results import Result
from unroll.study import Study

COLUMNS = [
    "study", "task", "variant", "metric", "parameters", "seeds", "mean", "std", "low", "high",
    "modes", "reference", "verdict", "seconds",
]  # fmt: skip
VERDICTS = [
    "task", "variant", "reference", "metric", "seeds", "ahead", "difference", "low", "high",
    "modes", "superiority", "p_value", "p_corrected", "comparisons", "seeds_that_tell", "verdict",
]  # fmt: skip
TWO_MODES = "seeds of two kinds"  # the verdict where they are, and nothing can be told
FEWEST = 3  # seeds that can give a verdict: of two, the error has one degree of freedom


def compare(study: Study, results: Mapping[str, Result], verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return every score of every variant with its interval and its verdict.

    The mean is that on the scale on which the score is compared: of perplexities the geometric
    one. `modes` says where seeds are of two; a mean of these has no interval.
    """
    rows = []
    for variant, result in results.items():
        for score in result.scores["metric"].unique():
            metric, outcomes = result.kind.metric(score), result.outcomes(score, result.seeds)
            values = result.scores.loc[result.scores["metric"] == score, "value"]
            found, two = estimate(outcomes, study.comparison.confidence), _modes(outcomes)
            rows.append(
                {
                    "study": study.name,
                    "task": study.variants[variant].task,
                    "variant": variant,
                    "metric": score,
                    "parameters": result.parameters,
                    "seeds": len(values),
                    "mean": float(metric.scale.back(metric.scale.to(values).mean())),
                    "std": values.std(),  # of a sample: empty where there is one seed
                    **({} if two else _bounds(metric, found)),
                    "modes": _in_words(metric, two),
                    "seconds": result.seconds,
                }
            )
    keys = ["variant", "metric"]
    table = pd.DataFrame(rows).merge(verdicts[[*keys, "reference", "verdict"]], "left", keys)
    return table.reindex(columns=COLUMNS)


def judge(study: Study, results: Mapping[str, Result]) -> pd.DataFrame:
    """Return each variant against its reference, on the seeds that both have.

    A row per variant and score: in how many seeds the variant is ahead; the difference (of what is
    compared as a logarithm: the ratio less one) with its interval; the p-value, and the same
    corrected for the number of variants that are judged by this score; the probability of
    superiority; about how many seeds would tell such a difference; and the verdict. Where seeds are
    of two kinds the p-value is that of the shares of the kinds, and there is no interval.
    """
    references = {v: r for v in results if (r := study.reference(v)) in results}
    of_task = Counter(study.variants[variant].task for variant in references)
    rows = [
        _against(study, results, variant, str(reference), str(score), of_task)
        for variant, reference in references.items()
        for score in results[variant].scores["metric"].unique()
    ]
    table = pd.DataFrame(rows, columns=VERDICTS)
    groups = table.groupby(["task", "metric"])["p_value"]
    table["p_corrected"] = groups.transform(lambda values: holm(values.tolist()))
    level = 1 - study.comparison.confidence
    table["verdict"] = [verdict(row, level) for row in dicts(table)]
    return table


def _against(
    study: Study,
    results: Mapping[str, Result],
    variant: str,
    reference: str,
    score: str,
    comparisons: Mapping[str, int],
) -> dict[str, Any]:
    one, other = results[variant], results[reference]
    task, metric = study.variants[variant].task, one.kind.metric(score)
    common = [seed for seed in one.seeds if seed in other.seeds]
    row: dict[str, Any] = {
        "task": task,
        "variant": variant,
        "reference": reference,
        "metric": score,
        "seeds": len(common),
        "comparisons": comparisons[task],
    }
    if not common:
        return row
    outcomes = {
        name: of.outcomes(score, common) for name, of in ((variant, one), (reference, other))
    }
    return row | against(metric, outcomes, study.comparison.confidence, comparisons[task])


def against(
    metric: Metric, outcomes: Mapping[str, np.ndarray], confidence: float, comparisons: int
) -> dict[str, Any]:
    """Return what can be said of the first of two variants, by their outcomes (S, I).

    Both are of the same seeds and items. The verdict is what it is if its p-value, corrected for
    the number of comparisons, is small enough.
    """
    ours, theirs = outcomes.values()
    good, bar = (metric.sign * of.mean(axis=1) for of in (ours, theirs))
    row: dict[str, Any] = {
        "ahead": int((good > bar).sum()),
        "superiority": superiority(good, bar),
    }
    two = {name: split for name, of in outcomes.items() if (split := _modes(of))}
    if two:
        above = border([*good, *bar])
        return row | {
            "difference": _named(metric, float((ours - theirs).mean())),
            "modes": "; ".join(f"{name}: {_in_words(metric, of)}" for name, of in two.items()),
            "p_value": p_value_of_shares(good, bar, above),
            "verdict": "better" if (good > above).mean() > (bar > above).mean() else "worse",
        }
    found = estimate(ours - theirs, confidence)
    bounds = {"difference": found.mean, "low": found.low, "high": found.high}
    row |= {name: _named(metric, bound) for name, bound in bounds.items()}
    if len(ours) < FEWEST:
        return row
    return row | {
        "p_value": found.p_value,
        "seeds_that_tell": seeds_that_tell(ours - theirs, (1 - confidence) / comparisons),
        "verdict": "better" if metric.sign * found.mean > 0 else "worse",
    }


def verdict(row: Mapping[str, Any], level: float) -> str:
    """Say in plain words what can be said: `row` has what its verdict is where it can be told."""
    few = {0: "no seed in common", 1: "one seed gives no verdict", 2: "two seeds give no verdict"}
    if row["seeds"] in few:
        return few[row["seeds"]]
    if row["p_corrected"] < level:
        return str(row["verdict"])
    if isinstance(row["modes"], str):
        return TWO_MODES
    return f"cannot be told at {row['seeds']} seeds"


def _modes(outcomes: np.ndarray) -> Modes | None:
    return modes(outcomes.mean(axis=1))


def _in_words(metric: Metric, two: Modes | None) -> str | None:
    """Say how many seeds are where, the better ones first."""
    if two is None:
        return None
    parts = [two.lower, two.upper][:: -metric.sign]
    shown = [metric.show(float(metric.scale.back(of.mean()))) for of in parts]
    return f"{len(parts[0])} of {len(parts[0]) + len(parts[1])} seeds at {shown[0]}, " + (
        f"{len(parts[1])} at {shown[1]}"
    )


def _named(metric: Metric, compared: float) -> float:
    return metric.clip_difference(metric.scale.difference(compared))


def _bounds(metric: Metric, found: Estimate) -> dict[str, float]:
    low, high = metric.scale.back([found.low, found.high]).tolist()
    return {"low": metric.clip(low), "high": metric.clip(high)}


def dicts(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
