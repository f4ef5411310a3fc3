"""The scores of a variant on disk, in its evaluation folder: one row per seed and metric."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from unroll.data.files import check_folder, write_text
from unroll.data.tables import read_table
from unroll.errors import DataError

COLUMNS = ["seed", "metric", "value"]


def write_scores(folder: Path, scores: Mapping[int, Mapping[str, float]]) -> None:
    """Write the scores of a variant's seeds: one row per seed and metric."""
    rows = [(s, metric, v) for s, metrics in scores.items() for metric, v in metrics.items()]
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_text(folder / "scores.csv", table.to_csv(index=False, lineterminator="\n"))


def read_scores(folder: Path, remedy: str) -> pd.DataFrame:
    """Return the scores of a variant's seeds.

    Raises:
        DataError: the folder is missing or damaged, or the file holds no scores.
    """
    check_folder(folder, remedy)
    path = folder / "scores.csv"
    scores = read_table(path, COLUMNS, remedy, numbers=("value",))
    seeds = scores["seed"].dtype.kind == "i" and bool((scores["seed"] >= 0).all())
    named = all(isinstance(metric, str) for metric in scores["metric"])
    if not seeds or not named or scores.duplicated(["seed", "metric"]).any():
        raise DataError(f"{path} holds no scores: one value for each seed and metric; {remedy}")
    return scores.astype({"value": float})


def summary(scores: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation over the seeds of each metric, to six digits.

    The standard deviation is that of a sample; it is not a number where there is one seed.
    """
    groups = scores.groupby("metric", sort=False)["value"]
    return {str(name): (six_digits(v.mean()), six_digits(v.std())) for name, v in groups}


def six_digits(value: float) -> float:
    """Return a value with six significant digits, as results are written."""
    return float(f"{value:.6g}")


def show(metric: str, mean: float, std: float) -> str:
    """Return a value as people write it: percent for fractions, ± where there are seeds."""
    percent = not metric.endswith("perplexity")
    scale, unit = (100, " %") if percent else (1, "")
    spread = "" if pd.isna(std) else f" ± {scale * std:.1f}"
    return f"{scale * mean:.1f}{spread}{unit}"
