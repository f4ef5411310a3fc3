"""The table of a study: one row per variant and metric."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unroll.config import Study
from unroll.data.files import write_text
from unroll.evaluation.items import outcomes
from unroll.evaluation.scores import show
from unroll.evaluation.selection import validation_metric
from unroll.evaluation.statistics import Estimate, estimate, holm, superiority
from unroll.record import Record
from unroll.seeds import numpy_generator

COLUMNS = [
    "study", "task", "variant", "metric", "parameters", "seeds", "mean", "std", "low", "high",
    "reference", "verdict", "seconds",
]  # fmt: skip

MAIN_METRICS = ("test_exact_match", "test_perplexity")


@dataclass(frozen=True)
class Result:
    """What is known of a trained and evaluated variant; its seeds are in one order everywhere."""

    records: list[Record]
    scores: pd.DataFrame  # seed, metric, value
    items: list[dict[str, np.ndarray]]  # of the test split, for each seed
    seconds: float  # of training, mean of the seeds

    @property
    def seeds(self) -> list[int]:
        """The seeds in the order of the records."""
        return [record.seed for record in self.records]

    def outcomes(self, metric: str, seeds: list[int]) -> np.ndarray:
        """Return the outcomes (S, I) of a metric; I is 1 where only the seeds' means are known.

        Those of a perplexity are its logarithms.
        """
        if metric in MAIN_METRICS:
            return outcomes([self.items[self.seeds.index(seed)] for seed in seeds])
        values = self.scores[self.scores["metric"] == metric].set_index("seed")["value"]
        found = values.loc[seeds].to_numpy(dtype=float)[:, None]
        return np.log(found) if is_perplexity(metric) else found


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, numbers with six significant digits."""
    write_text(path, table.to_csv(index=False, lineterminator="\n", float_format="%.6g"))


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
                    "parameters": result.records[0].parameters,
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
    table["verdict"] = [verdict(row, study.comparison.confidence) for row in _dicts(table)]
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
    if is_perplexity(metric):  # logarithms until here
        bounds = np.expm1(bounds)
    named = dict(zip(("difference", "low", "high"), bounds.tolist(), strict=True))
    return {**row, **named, "superiority": better, "p_value": found.p_value}


def verdict(row: Mapping[str, Any], confidence: float) -> str:
    """Say in plain words what can be said of a variant and its reference."""
    if row["seeds"] < 2:
        return "cannot be told at one seed" if row["seeds"] else "no seed in common"
    if not row["p_corrected"] < 1 - confidence:
        return f"cannot be told at {row['seeds']} seeds"
    return "better" if (row["difference"] > 0) != is_perplexity(row["metric"]) else "worse"


def is_perplexity(metric: str) -> bool:
    """Say whether a metric is a perplexity: less of it is better."""
    return metric.endswith("perplexity")


def _estimate(study: Study, values: np.ndarray, *names: object) -> Estimate:
    options = study.comparison
    random = numpy_generator(options.seed, "bootstrap", study.name, *map(str, names))
    return estimate(values, options.confidence, options.resamples, random)


def _bounds(metric: str, found: Estimate) -> dict[str, float]:
    if is_perplexity(metric):
        return {"low": float(np.exp(found.low)), "high": float(np.exp(found.high))}
    return {"low": max(found.low, 0.0), "high": min(found.high, 1.0)}


def _dicts(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def curves(records: Mapping[str, list[Record]]) -> pd.DataFrame:
    """Return the validation metric of variants of one task, epoch by epoch.

    One row per variant and epoch: the mean over seeds under the metric's name, and the
    smallest and largest value as `min` and `max`.
    """
    parts = []
    for variant, runs in records.items():
        metric, _ = validation_metric(runs[0])
        by_epoch = pd.concat([record.history for record in runs]).groupby("epoch")[metric]
        table = by_epoch.agg(["mean", "min", "max"]).rename(columns={"mean": metric})
        parts.append(table.reset_index().assign(variant=variant))
    return pd.concat(parts, ignore_index=True)


def markdown(table: pd.DataFrame, confidence: float) -> str:
    """Return the comparison of one task as a Markdown table, the best variant first.

    The test metric that decides comes with its interval and the verdict, the others with the
    standard deviation of the seeds.
    """
    main = next(m for m in table["metric"] if m in MAIN_METRICS)
    others = [m for m in dict.fromkeys(table["metric"]) if m != main]
    interval = f"{_title(main)} [{100 * confidence:g} % interval]"
    titles = [interval, "± of seeds", "verdict", *map(_title, others)]
    lines = [f"| variant | parameters | seeds | {' | '.join(titles)} |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | --- |" + " ---: |" * len(others))
    ranked = table[table["metric"] == main].sort_values("mean", ascending=is_perplexity(main))
    for row in _dicts(ranked):
        of_variant = table[table["variant"] == row["variant"]].set_index("metric")
        cells = [show_interval(main, row), show_spread(main, row["std"]), in_words(row)]
        cells += [show(m, of_variant.at[m, "mean"], of_variant.at[m, "std"]) for m in others]
        first = f"| {row['variant']} | {row['parameters']:,} | {row['seeds']} |"
        lines.append(f"{first} {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _title(metric: str) -> str:
    return metric.replace("_", " ")


def in_words(row: Mapping[str, Any]) -> str:
    """Return a verdict with what it is about."""
    if pd.isna(row["reference"]):
        return ""
    joint = "than" if row["verdict"] in ("better", "worse") else "against"
    if joint == "than":
        return f"{row['verdict']} than {row['reference']}"
    return f"{row['verdict']} ({joint} {row['reference']})"


def show_interval(metric: str, row: Mapping[str, Any]) -> str:
    """Return a mean with its interval, as people write it."""
    if pd.isna(row["low"]):
        return f"{show(metric, row['mean'], np.nan)} [none: one seed]"
    scale = 1 if is_perplexity(metric) else 100
    bounds = f"[{scale * row['low']:.1f}, {scale * row['high']:.1f}]"
    return f"{show(metric, row['mean'], np.nan)} {bounds}"


def show_spread(metric: str, std: float) -> str:
    """Return the standard deviation of the seeds, as people write it."""
    return "" if pd.isna(std) else f"{std if is_perplexity(metric) else 100 * std:.1f}"
