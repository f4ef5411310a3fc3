"""Learning curves: how good a variant was after each epoch."""

from collections.abc import Mapping

import pandas as pd

from unroll.reporting.results import Result


def curves(results: Mapping[str, Result], examples: int) -> pd.DataFrame:
    """Return the validation score of variants of one task, epoch by epoch.

    One row per variant and epoch: the mean over seeds under the score's name, the smallest and
    largest value as `min` and `max`, the examples seen (pairs or tokens; `examples` are those of an
    epoch) and the seconds of training so far, the mean of the seeds.
    """
    parts = []
    for variant, result in results.items():
        score = result.kind.choosing
        history = pd.concat([record.history for record in result.records])
        by_epoch = history.groupby("epoch")[score].agg(["mean", "min", "max"])
        table = by_epoch.rename(columns={"mean": score}).reset_index()
        timings = pd.concat([found.epochs for found in result.circumstances.values()])
        seconds = timings.groupby("epoch")["train_seconds"].mean().cumsum()
        parts.append(
            table.assign(
                variant=variant,
                examples=table["epoch"] * examples,
                seconds=table["epoch"].map(seconds),
            )
        )
    return pd.concat(parts, ignore_index=True)
