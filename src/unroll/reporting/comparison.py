"""The table of a study: one row per variant and metric."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from unroll.config import Study
from unroll.data.files import write_text
from unroll.evaluation.scores import show
from unroll.evaluation.selection import validation_metric
from unroll.record import Record


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, numbers with six significant digits."""
    write_text(path, table.to_csv(index=False, lineterminator="\n", float_format="%.6g"))


def compare(
    study: Study, scores: Mapping[str, pd.DataFrame], records: Mapping[str, list[Record]]
) -> pd.DataFrame:
    """Return mean and standard deviation over seeds of every metric of every variant."""
    rows = []
    for variant, table in scores.items():
        for metric, values in table.groupby("metric", sort=False)["value"]:
            rows.append(
                {
                    "study": study.name,
                    "task": study.variants[variant].task,
                    "variant": variant,
                    "metric": metric,
                    "parameters": records[variant][0].parameters,
                    "seeds": len(values),
                    "mean": values.mean(),
                    "std": values.std(),  # of a sample: empty where there is one seed
                }
            )
    return pd.DataFrame(rows)


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


def markdown(table: pd.DataFrame) -> str:
    """Return a comparison as a Markdown table: a row per variant, mean ± standard deviation.

    Test metrics come first.
    """
    metrics = sorted(dict.fromkeys(table["metric"]), key=lambda m: not m.startswith("test"))
    titles = " | ".join(metric.replace("_", " ") for metric in metrics)
    lines = [f"| variant | parameters | seeds | {titles} |"]
    lines.append("| --- | ---: | ---: |" + " ---: |" * len(metrics))
    for variant, rows in table.groupby("variant", sort=False):
        values = rows.set_index("metric")
        cells = [show(m, values.loc[m, "mean"], values.loc[m, "std"]) for m in metrics]
        first = rows.iloc[0]
        lines.append(
            f"| {variant} | {first['parameters']:,} | {first['seeds']} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"
