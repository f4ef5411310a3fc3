"""Results as people write them: in tables, and in sentences."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from unroll.evaluation.scores import show
from unroll.reporting.comparison import dicts
from unroll.reporting.results import is_perplexity, main_metric


def markdown(table: pd.DataFrame, verdicts: pd.DataFrame, confidence: float) -> str:
    """Return the comparison of one task in Markdown: a table, the best variant first, and verdicts.

    The test metric that decides comes with its interval and the verdict, the others with the
    standard deviation of the seeds.
    """
    main = main_metric(table["metric"])
    others = [m for m in dict.fromkeys(table["metric"]) if m != main]
    interval = f"{title(main)} [{100 * confidence:g} % interval]"
    titles = [interval, "± of seeds", "verdict", *map(title, others)]
    lines = [f"| variant | parameters | seeds | {' | '.join(titles)} |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | --- |" + " ---: |" * len(others))
    for row in dicts(ranked(table)):
        of_variant = table[table["variant"] == row["variant"]].set_index("metric")
        cells = [show_interval(main, row), show_spread(main, row["std"]), in_words(row)]
        cells += [show(m, of_variant.at[m, "mean"], of_variant.at[m, "std"]) for m in others]
        first = f"| {row['variant']} | {row['parameters']:,} | {row['seeds']} |"
        lines.append(f"{first} {' | '.join(cells)} |")
    lines += ["", *(f"- {sentence}" for sentence in sentences(verdicts, main))]
    return "\n".join(lines).rstrip("\n") + "\n"


def sentences(verdicts: pd.DataFrame, metric: str) -> list[str]:
    """Return what the verdicts of one task say by this metric, each in a sentence."""
    return [in_a_sentence(row) for row in dicts(verdicts[verdicts["metric"] == metric])]


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the metric that decides, the best variant first."""
    main = main_metric(table["metric"])
    return table[table["metric"] == main].sort_values("mean", ascending=is_perplexity(main))


def title(metric: str) -> str:
    """Return a metric's name in words."""
    return metric.replace("_", " ")


def in_words(row: Mapping[str, Any]) -> str:
    """Return a verdict with what it is about."""
    if pd.isna(row["reference"]):
        return ""
    if row["verdict"] in ("better", "worse"):
        return f"{row['verdict']} than {row['reference']}"
    return f"{row['verdict']} (against {row['reference']})"


def show_interval(metric: str, row: Mapping[str, Any]) -> str:
    """Return a mean with its interval, as people write it."""
    if pd.isna(row["low"]):
        reason = "one seed" if row["seeds"] == 1 else "no spread"
        return f"{show(metric, row['mean'], np.nan)} [none: {reason}]"
    scale = 1 if is_perplexity(metric) else 100
    bounds = f"[{scale * row['low']:.1f}, {scale * row['high']:.1f}]"
    return f"{show(metric, row['mean'], np.nan)} {bounds}"


def show_spread(metric: str, std: float) -> str:
    """Return the standard deviation of the seeds, as people write it."""
    return "" if pd.isna(std) else f"{std if is_perplexity(metric) else 100 * std:.1f}"


def in_a_sentence(row: Mapping[str, Any]) -> str:
    """Say what a row of verdicts says: how much better or worse, and how sure that is."""
    variant, reference, verdict = row["variant"], row["reference"], row["verdict"]
    if row["seeds"] < 2:
        return f"{variant} against {reference}: {verdict}."
    if verdict in ("better", "worse"):
        return f"{variant} is {verdict} than {reference}: {show_difference(row)}."
    return f"Whether {variant} differs from {reference} {verdict}: {show_difference(row)}."


def show_difference(row: Mapping[str, Any]) -> str:
    """Return a difference with its interval: points of percent, or percent of a perplexity."""
    unit = "% of perplexity" if is_perplexity(row["metric"]) else "points"
    if pd.isna(row["difference"]):
        return "–"
    shown = f"{_signed(row['difference'])} {unit}"
    if pd.isna(row["low"]):
        return shown
    return f"{shown} [{_signed(row['low'])}, {_signed(row['high'])}]"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")
