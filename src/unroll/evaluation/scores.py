"""The scores of a variant on disk, in its evaluation folder.

scores.csv   one row per seed and metric
runs.json    the key of each seed's run: which training was scored
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd

from unroll.config import Study
from unroll.data.files import MANIFEST, check_folder, read_json, write_json, write_text
from unroll.data.tables import read_table
from unroll.errors import DataError
from unroll.record import Record

COLUMNS = ["seed", "metric", "value"]
RUNS = "runs.json"


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
    gaps = scores["value"].isna().any() or scores.duplicated(["seed", "metric"]).any()
    if not seeds or not named or gaps:
        raise DataError(f"{path} holds no scores: one value for each seed and metric; {remedy}")
    return scores.astype({"value": float})


def write_runs(folder: Path, records: Iterable[Record]) -> None:
    """Write which runs were scored."""
    write_json(folder / RUNS, _runs(records))


def scores_of(study: Study, variant: str, records: Collection[Record]) -> pd.DataFrame:
    """Return the scores of the runs that left these records.

    Raises:
        DataError: the variant is not evaluated, a file is damaged, or the scores are of an
            earlier training: `train` by hand leaves them as they are.
    """
    folder, remedy = study.evaluation(variant), study.remedy(f"evaluate@{variant}")
    scores = read_scores(folder, remedy)
    seeds = {record.seed for record in records}
    if not is_scored(study, variant, records) or set(scores["seed"]) != seeds:
        raise DataError(f"{folder} is not of the training that left the models; {remedy}")
    return scores


def is_scored(study: Study, variant: str, records: Collection[Record]) -> bool:
    """Say whether the runs that left these records have been scored.

    Raises:
        DataError: the file that says so is missing or damaged.
    """
    folder, remedy = study.evaluation(variant), study.remedy(f"evaluate@{variant}")
    return (folder / MANIFEST).is_file() and read_json(folder / RUNS, remedy) == _runs(records)


def _runs(records: Iterable[Record]) -> dict[str, str]:
    return {str(record.seed): record.key for record in records}


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
