"""Results as people write them: in tables, and in sentences."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from unroll.kinds.kind import Kind
from unroll.metrics import Metric
from unroll.reporting.comparison import dicts


def markdown(
    kind: Kind[Any, Any], table: pd.DataFrame, verdicts: pd.DataFrame, confidence: float
) -> str:
    """Return the comparison of one task in Markdown: a table, the best variant first, and verdicts.

    The score that decides comes with its interval and the verdict, the others with the
    standard deviation of the seeds.
    """
    main, others = kind.main, [s for s in dict.fromkeys(table["metric"]) if s != kind.deciding]
    interval = f"{title(kind.deciding)} [{100 * confidence:g} % interval]"
    titles = [interval, "± of seeds", "verdict", *map(title, others)]
    lines = [f"| variant | parameters | seeds | {' | '.join(titles)} |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | --- |" + " ---: |" * len(others))
    for row in dicts(ranked(kind, table)):
        of_variant = table[table["variant"] == row["variant"]].set_index("metric")
        cells = [show_interval(main, row), main.show_spread(row["std"]), in_words(row)]
        cells += [
            kind.metric(s).show(of_variant.at[s, "mean"], of_variant.at[s, "std"]) for s in others
        ]
        first = f"| {row['variant']} | {row['parameters']:,} | {row['seeds']} |"
        lines.append(f"{first} {' | '.join(cells)} |")
    lines += ["", *(f"- {sentence}" for sentence in sentences(kind, verdicts))]
    return "\n".join(lines).rstrip("\n") + "\n"


def sentences(kind: Kind[Any, Any], verdicts: pd.DataFrame) -> list[str]:
    """Return what the verdicts of one task say by the score that decides, each in a sentence."""
    deciding = verdicts[verdicts["metric"] == kind.deciding]
    return [in_a_sentence(kind.main, row) for row in dicts(deciding)]


def ranked(kind: Kind[Any, Any], table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the score that decides, the best variant first."""
    rows = table[table["metric"] == kind.deciding]
    return rows.sort_values("mean", ascending=not kind.main.higher_is_better)


def title(score: str) -> str:
    """Return a score's name in words."""
    return score.replace("_", " ")


def in_words(row: Mapping[str, Any]) -> str:
    """Return a verdict with what it is about."""
    if pd.isna(row["reference"]):
        return ""
    if row["verdict"] in ("better", "worse"):
        return f"{row['verdict']} than {row['reference']}"
    return f"{row['verdict']} (against {row['reference']})"


def show_interval(metric: Metric, row: Mapping[str, Any]) -> str:
    """Return a mean with its interval, as people write it."""
    if pd.isna(row["low"]):
        reason = "one seed" if row["seeds"] == 1 else "no spread"
        return f"{metric.show(row['mean'])} [none: {reason}]"
    return metric.show_interval(row["mean"], row["low"], row["high"])


def in_a_sentence(metric: Metric, row: Mapping[str, Any]) -> str:
    """Say what a row of verdicts says: how much better or worse, and how sure that is."""
    variant, reference, verdict = row["variant"], row["reference"], row["verdict"]
    if row["seeds"] < 2:
        return f"{variant} against {reference}: {verdict}."
    if verdict in ("better", "worse"):
        return f"{variant} is {verdict} than {reference}: {show_difference(metric, row)}."
    return f"Whether {variant} differs from {reference} {verdict}: {show_difference(metric, row)}."


def show_difference(metric: Metric, row: Mapping[str, Any]) -> str:
    """Return a difference with its interval."""
    return metric.show_difference(row["difference"], row["low"], row["high"])
