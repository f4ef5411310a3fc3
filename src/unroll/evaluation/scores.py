"""The scores of a variant on disk, in its evaluation folder: one row per seed and metric."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from unroll.errors import DataError
from unroll.kinds.kind import Kind
from unroll.runs.record import SCHEMA, Record, read_documents, seed_folder, seed_folders
from unroll.storage.files import read_json, write_text
from unroll.storage.folders import MANIFEST, check_folder
from unroll.storage.tables import read_table
from unroll.study import Study

COLUMNS = ["seed", "metric", "value"]


def write_scores(folder: Path, scores: Mapping[int, Mapping[str, float]]) -> None:
    """Write the scores of a variant's seeds: one row per seed and metric."""
    rows = [(s, metric, v) for s, metrics in scores.items() for metric, v in metrics.items()]
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_text(folder / "scores.csv", table.to_csv(index=False, lineterminator="\n"))


def read_scores(folder: Path, kind: Kind) -> pd.DataFrame:  # type: ignore[type-arg]
    """Return the scores of a variant's seeds, from a folder whose files were checked.

    Raises:
        DataError: the file holds no scores, or one that models of this kind do not have.
    """
    path = folder / "scores.csv"
    scores = read_table(path, COLUMNS, numbers=("value",))
    seeds = scores["seed"].dtype.kind == "i" and bool((scores["seed"] >= 0).all())
    gaps = scores["value"].isna().any() or scores.duplicated(["seed", "metric"]).any()
    if not seeds or gaps or not all(_is_known(kind, metric) for metric in scores["metric"]):
        raise DataError(f"{path} holds no scores: one value for each seed and metric")
    return scores.astype({"value": float})


def _is_known(kind: Kind, metric: object) -> bool:  # type: ignore[type-arg]
    try:
        kind.metric(str(metric))
    except KeyError:
        return False
    return True


def scores_of(study: Study, variant: str, records: Collection[Record]) -> pd.DataFrame:
    """Return the scores of the runs that left these records.

    Raises:
        DataError: the variant is not evaluated, a file is damaged, or the scores are of an
            earlier training: `train` by hand leaves them as they are.
    """
    folder = study.evaluation(variant)
    with study.remedy(f"evaluate@{variant}"):
        check_folder(folder)
        scores = read_scores(folder, study.kind_of(variant))
        seeds = {record.seed for record in records}
        if not is_scored(study, variant, records) or set(scores["seed"]) != seeds:
            raise DataError(f"{folder} is not of the training that left the models")
    return scores


def is_scored(study: Study, variant: str, records: Collection[Record]) -> bool:
    """Say whether the runs that left these records have been scored.

    Scores of an earlier training are none of theirs, whatever version of this project left them.

    Raises:
        DataError: a file that says so is missing or damaged.
    """
    folder = study.evaluation(variant)
    if not (folder / MANIFEST).is_file():
        return False
    with study.remedy(f"evaluate@{variant}"):
        check_folder(folder)
        documents = [seed_folder(folder, record.seed) / "run.json" for record in records]
        there = all(path.is_file() for path in documents)
        if not there or any(read_json(path).get("schema") != SCHEMA for path in documents):
            return False
        scored = [read_documents(path) for path in seed_folders(folder)]
    return {one.key for one in scored} == {record.key for record in records}


def summary(scores: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation over the seeds of each metric, to six digits.

    The standard deviation is that of a sample; it is not a number where there is one seed.
    """
    groups = scores.groupby("metric", sort=False)["value"]
    return {str(name): (six_digits(v.mean()), six_digits(v.std())) for name, v in groups}


def six_digits(value: float) -> float:
    """Return a value with six significant digits, as results are written."""
    return float(f"{value:.6g}")
