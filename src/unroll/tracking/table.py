"""The runs of MLflow as a table."""

from collections.abc import Sequence

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from unroll.evaluation.scores import six_digits
from unroll.study import Study
from unroll.tracking.state import experiment_name
from unroll.training.sources import sources_digest

PAGE = 1000
FIRST = ["task", "variant", "seed", "status", "parameters"]
LAST = ["sources", "commit", "run"]
HIDDEN = ("system/", "train_seconds", "valid_seconds", "worker_")


def runs_table(client: MlflowClient, study: Study, level: str) -> pd.DataFrame:
    """Return the runs of a study, one row each: of a variant in the order of their start.

    `level` is `variant` (means of the seeds) or `seed`. Metrics are those of the last epoch,
    to six digits, as in the files of reports/. `sources` says whether src/unroll is what it was
    when a run was trained; where it has changed and no plan has, the run is still what it would be.
    """
    here = sources_digest()
    rows = []
    for task in study.tasks:
        experiment = client.get_experiment_by_name(experiment_name(study.name, task))
        if experiment is not None:
            runs = _all_runs(client, experiment.experiment_id, level)
            rows += [_row(run, here) for run in runs]
    table = pd.DataFrame(rows, columns=None if rows else FIRST + LAST)
    metrics = [c for c in table.columns if c not in FIRST + LAST]
    order = {variant: place for place, variant in enumerate(study.variants)}
    table = table.sort_values(
        ["variant", "seed"],
        key=lambda column: column.map(order) if column.name == "variant" else column,
        kind="stable",
        ignore_index=True,
    )
    return table[[*FIRST, *sorted(metrics, key=_place), *LAST]]


def _place(metric: str) -> tuple[bool, str]:
    return not metric.startswith("test"), metric


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


def _row(run: Run, here: str) -> dict[str, object]:
    tags, metrics = run.data.tags, run.data.metrics
    row: dict[str, object] = {"task": tags.get("task"), "variant": tags.get("variant")}
    row["seed"] = int(tags["seed"]) if "seed" in tags else None
    row["status"] = run.info.status
    row["parameters"] = int(run.data.params.get("parameters", 0)) or None
    shown = {k: six_digits(v) for k, v in metrics.items() if not k.startswith(HIDDEN)}
    commit = tags.get("mlflow.source.git.commit", "")[:10]
    sources = "as now" if tags.get("sources.digest") == here else "changed since"
    return {**row, **shown, "sources": sources, "commit": commit, "run": run.info.run_id}


def choose(
    table: pd.DataFrame, tasks: Sequence[str], variants: Sequence[str], metrics: Sequence[str]
) -> pd.DataFrame:
    """Return the rows of these tasks and variants, and the columns of these metrics.

    Nothing named means all; a column that is empty in all rows is left out.
    """
    if tasks:
        table = table[table["task"].isin(tasks)]
    if variants:
        table = table[table["variant"].isin(variants)]
    if metrics:
        table = table[[c for c in table.columns if c in FIRST or c in metrics]]
    return table.dropna(axis="columns", how="all")


def as_text(table: pd.DataFrame) -> str:
    """Return a table for the terminal, a block for each task."""
    blocks = [
        rows.dropna(axis="columns", how="all").to_string(index=False, na_rep="")
        for _, rows in table.groupby("task", sort=False, dropna=False)
    ]
    return "\n\n".join(blocks)
