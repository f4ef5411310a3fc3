"""The runs of MLflow as a table."""

import contextlib
from collections.abc import Mapping, Sequence

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from unroll.errors import DataError
from unroll.evaluation.scores import six_digits
from unroll.options import changes, resolved
from unroll.runs.imported import all_imported
from unroll.runs.record import read_documents, seed_folders
from unroll.study import Study
from unroll.tracking.state import KEY, NAME, experiment_name
from unroll.training.sources import sources_digest

PAGE = 1000
FIRST = ["task", "variant", "seed", "now", "status"]
DIFFERS = "differs by"
LAST = ["parameters", "experiment", "sources", "commit", "run"]
ALWAYS = 3  # columns that are shown however narrow a terminal is
WIDEST = 48  # of "differs by"
SAME = {NAME, "seed", "seeds", "parameters"}  # params by which no variant differs from another
HIDDEN = ("system/", "work/train_seconds", "work/valid_seconds", "work/worker")


def runs_table(client: MlflowClient, study: Study, level: str) -> pd.DataFrame:
    """Return the runs of a study, one row each: of a variant in the order of their start.

    `level` is `variant` (means of the seeds) or `seed`. `now` marks those whose evaluations lie
    here: others are earlier trials. `differs by` tells options that the first variant of the task
    has not. Metrics are those of the last epoch, to six digits, as in the files of reports/, first
    the one that decides. `experiment` is DVC's. `sources` says whether src/unroll is what it was
    when a run was trained; where it has changed and no plan has, the run is still what it would be.
    """
    here, keys = sources_digest(), _keys(study)
    rows = []
    for task in study.tasks:
        experiment = client.get_experiment_by_name(experiment_name(study.name, task))
        if experiment is not None:
            runs = _all_runs(client, experiment.experiment_id, level)
            first = resolved(next(iter(study.variants_of(task).values())))
            rows += [_row(run, here, keys, first) for run in runs]
    table = pd.DataFrame(rows, columns=None if rows else [*FIRST, DIFFERS, *LAST])
    metrics = [c for c in table.columns if c not in [*FIRST, DIFFERS, *LAST]]
    order = {variant: place for place, variant in enumerate(study.variants)}
    table = table.sort_values(
        ["variant", "seed"],
        key=lambda column: column.map(order) if column.name == "variant" else column,
        kind="stable",
        ignore_index=True,
    )
    deciding = {study.kind_of(variant).deciding for variant in study.variants}

    def place(metric: str) -> tuple[bool, bool, bool, str]:
        test, valid = (not metric.startswith(split) for split in ("test", "valid"))
        return metric not in deciding, test, valid, metric

    ordered = sorted(metrics, key=place)
    decide = [metric for metric in ordered if metric in deciding]
    return table[[*FIRST, *decide, DIFFERS, *ordered[len(decide) :], *LAST]]


def _keys(study: Study) -> set[str]:
    """Return the keys of the runs whose evaluations lie here, and of their variants."""
    keys = set()
    places = [study.evaluation(variant) for variant in study.variants]
    with contextlib.suppress(DataError):
        places += [one.evaluation(name) for one in all_imported(study) for name in one.variants]
    for place in places:
        with contextlib.suppress(DataError):
            for folder in seed_folders(place):
                record = read_documents(folder)
                keys |= {record.key, record.subject.key(None)}
    return keys


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


def _row(run: Run, here: str, keys: set[str], first: Mapping[str, object]) -> dict[str, object]:
    tags, metrics = run.data.tags, run.data.metrics
    row: dict[str, object] = {"task": tags.get("task"), "variant": tags.get("variant")}
    row["seed"] = int(tags["seed"]) if "seed" in tags else None
    row["now"] = "*" if tags.get(KEY) in keys else ""
    row["status"] = run.info.status
    row["parameters"] = int(run.data.params.get("parameters", 0)) or None
    options = {name: text for name, text in run.data.params.items() if name not in SAME}
    elsewhere = [f"from {tags['imported.file']}"] if "imported.file" in tags else []
    row[DIFFERS] = ", ".join([*elsewhere, *changes(options, first)])
    row["experiment"] = tags.get("dvc.experiment")
    shown = {
        name.replace("/", "_", 1).removeprefix("work_"): six_digits(value)
        for name, value in metrics.items()
        if not name.startswith(HIDDEN)
    }
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
        table = table[[c for c in table.columns if c in (*FIRST, DIFFERS) or c in metrics]]
    return table.dropna(axis="columns", how="all")


def as_text(table: pd.DataFrame, width: int) -> str:
    """Return a table for a terminal of this width, a block for each task.

    Columns that do not fit are named below it.
    """
    blocks = [_block(rows, width) for _, rows in table.groupby("task", sort=False, dropna=False)]
    return "\n\n".join(blocks)


def _block(rows: pd.DataFrame, width: int) -> str:
    rows = rows.dropna(axis="columns", how="all")
    if "status" in rows and (rows["status"] == "FINISHED").all():
        rows = rows.drop(columns="status")
    if DIFFERS in rows:
        rows = rows.assign(**{DIFFERS: rows[DIFFERS].map(_short)})
    fits = [
        count
        for count in range(ALWAYS, len(rows.columns) + 1)
        if len(_lines(rows.iloc[:, :count]).partition("\n")[0]) <= width
    ]
    count = max(fits, default=ALWAYS)
    text, left = _lines(rows.iloc[:, :count]), rows.columns[count:]
    return f"{text}\n(wider, or in --csv: {', '.join(left)})" if len(left) else text


def _short(text: str) -> str:
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def _lines(rows: pd.DataFrame) -> str:
    return rows.to_string(index=False, na_rep="")
