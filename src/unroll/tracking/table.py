"""The runs of MLflow as a table."""

from collections.abc import Sequence

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from unroll.config import Study
from unroll.evaluation.scores import six_digits
from unroll.tracking.state import experiment_name

PAGE = 1000
FIRST = ["task", "variant", "seed", "status", "parameters", "seconds"]
HIDDEN = ("system/", "train_seconds", "valid_seconds", "peak_memory")


def runs_table(client: MlflowClient, study: Study, level: str) -> pd.DataFrame:
    """Return the runs of a study, one row each, the newest of each key alone.

    `level` is `variant` (means of the seeds) or `seed`. Metrics are those of the last epoch,
    to six digits, as in the files of reports/.
    """
    rows = []
    for task in study.tasks:
        experiment = client.get_experiment_by_name(experiment_name(study.name, task))
        if experiment is not None:
            runs = _all_runs(client, experiment.experiment_id, level)
            rows += [_row(run) for run in runs]
    table = pd.DataFrame(rows)
    first = [column for column in FIRST if column in table]
    return table[first + [c for c in table.columns if c not in first]]


def _all_runs(client: MlflowClient, experiment: str, level: str) -> list[Run]:
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment],
            filter_string=f"tags.`unroll.level` = '{level}'",
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return found


def _row(run: Run) -> dict[str, object]:
    tags = run.data.tags
    row: dict[str, object] = {name: tags.get(name, "") for name in ("task", "variant", "seed")}
    row["status"] = run.info.status
    shown = {k: v for k, v in run.data.metrics.items() if not k.startswith(HIDDEN)}
    row |= {name: six_digits(value) for name, value in sorted(shown.items())}
    return row | {"commit": tags.get("mlflow.source.git.commit", "")[:10], "run": run.info.run_id}


def choose(
    table: pd.DataFrame, tasks: Sequence[str], variants: Sequence[str], metrics: Sequence[str]
) -> pd.DataFrame:
    """Return the rows of these tasks and variants, and the columns of these metrics.

    Nothing named means all.
    """
    if tasks:
        table = table[table["task"].isin(tasks)]
    if variants:
        table = table[table["variant"].isin(variants)]
    if metrics:
        table = table[[c for c in table.columns if c in FIRST or c in metrics]]
    return table.dropna(axis="columns", how="all")
