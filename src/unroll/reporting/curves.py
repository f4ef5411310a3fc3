"""Learning curves: how good a variant was after each epoch."""

from collections.abc import Mapping

import pandas as pd

from unroll.evaluation.selection import validation_metric
from unroll.reporting.results import Result


def curves(results: Mapping[str, Result], examples: int) -> pd.DataFrame:
    """Return the validation metric of variants of one task, epoch by epoch.

    One row per variant and epoch: the mean over seeds under the metric's name, the smallest and
    largest value as `min` and `max`, the examples seen (pairs or tokens; `examples` are those of an
    epoch) and the seconds of training so far, the mean of the seeds.
    """
    parts = []
    for variant, result in results.items():
        metric, _ = validation_metric(result.records[0])
        history = pd.concat([record.history for record in result.records])
        by_epoch = history.groupby("epoch")[metric].agg(["mean", "min", "max"])
        table = by_epoch.rename(columns={"mean": metric}).reset_index()
        seconds = result.circumstances.epochs.groupby("epoch")["train_seconds"].mean().cumsum()
        parts.append(
            table.assign(
                variant=variant,
                examples=table["epoch"] * examples,
                seconds=table["epoch"].map(seconds),
            )
        )
    return pd.concat(parts, ignore_index=True)


def measured(table: pd.DataFrame) -> str:
    """Return the metric that learning curves hold."""
    return next(str(name) for name in table.columns if str(name).startswith("valid_"))
