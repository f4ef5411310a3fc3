"""The best of several runs, by validation: the test set is not asked."""

from collections.abc import Sequence
from pathlib import Path

from unroll.errors import DataError
from unroll.record import Record, read_record, seed_folders


def validation_metric(record: Record) -> tuple[str, bool]:
    """Return the metric that decides, and whether more of it is better.

    Raises:
        DataError: the history of the run does not have it.
    """
    pairs = record.options.kind == "pairs"
    metric = "valid_exact_match" if pairs else "valid_perplexity"
    if metric not in record.history:
        run = f"{record.subject.variant}, seed {record.seed}"
        raise DataError(f"the history of {run} lacks {metric}; train it again")
    return metric, pairs


def best(variants: Sequence[Path], remedy: str) -> Path:
    """Return the record folder with the best validation metric at its last epoch.

    Raises:
        DataError: a folder of `variants` holds no record, or one without the metric.
    """

    def value(folder: Path) -> float:
        record = read_record(folder, remedy)
        metric, more_is_better = validation_metric(record)
        last = float(record.history[metric].iloc[-1])
        return last if more_is_better else -last

    return max((run for folder in variants for run in seed_folders(folder, remedy)), key=value)
