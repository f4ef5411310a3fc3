"""What an MLflow database holds, without its ids, so that it can be compared with another."""

import contextlib
import hashlib
import sqlite3
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run

KEY, PARENT = "unroll.key", "mlflow.parentRunId"
VOLATILE_METRICS = ("system/", "work/")


def no_tags(experiment: str) -> dict[str, str]:
    """Return what an experiment is told of itself where that does not matter."""
    return {}


def client_of(folder: Path) -> MlflowClient:
    """Return a client of a copy: MLflow keeps a database open even when it has been deleted."""
    copy = Path(tempfile.mkdtemp()) / "mlflow.db"
    with (
        contextlib.closing(sqlite3.connect(folder / "mlflow.db", timeout=60)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return MlflowClient(f"sqlite:///{copy}", registry_uri=f"sqlite:///{copy}")


def all_runs(client: MlflowClient) -> list[Run]:
    experiments = [e.experiment_id for e in client.search_experiments()]
    return list(client.search_runs(experiments, max_results=1000))


def database_state(folder: Path) -> dict[str, Any]:
    """Return everything in the database of a checkout but for ids and what is deleted."""
    client = client_of(folder)
    runs = all_runs(client)
    keys = {run.info.run_id: run.data.tags[KEY] for run in runs}
    assert len(set(keys.values())) == len(keys), "a key has two runs"
    return {
        "experiments": {e.name: _tags(e) for e in client.search_experiments()},
        "runs": {keys[run.info.run_id]: _run(client, run, keys) for run in runs},
        "models": {m.name: _model(client, m, keys) for m in client.search_registered_models()},
    }


def _tags(experiment: Experiment) -> dict[str, str]:
    """Return what it is told, without its number: its description's link and the digest of that."""
    link = f"/experiments/{experiment.experiment_id}/"
    tags = {name: value.replace(link, "/experiments/") for name, value in experiment.tags.items()}
    return {name: value for name, value in tags.items() if name != "unroll.note"}


def _run(client: MlflowClient, run: Run, keys: dict[str, str]) -> dict[str, Any]:
    tags = dict(run.data.tags)
    if PARENT in tags:
        tags[PARENT] = keys[tags[PARENT]]
    run_id = run.info.run_id
    files = _path(run.info.artifact_uri)
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "ended": run.info.end_time,
        "params": run.data.params,
        "tags": tags,
        "metrics": {
            name: sorted(
                (p.step, p.value, p.timestamp) for p in client.get_metric_history(run_id, name)
            )
            for name in run.data.metrics
        },
        "files": {
            file.path: hashlib.sha256((files / file.path).read_bytes()).hexdigest()
            for file in client.list_artifacts(run_id)
        },
        "inputs": [
            {**vars(i.dataset), "tags": sorted((t.key, t.value) for t in i.tags)}
            for i in run.inputs.dataset_inputs
        ],
        "models": _models_of(client, run),
    }


def _models_of(client: MlflowClient, run: Run) -> int:
    """Return how many logged models a run has that are not deleted."""
    found = client.search_logged_models(
        [run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'"
    )
    return len(found)


def _model(client: MlflowClient, model: Any, keys: dict[str, str]) -> dict[str, Any]:
    versions = {}
    for version in client.search_model_versions(f"name = '{model.name}'"):
        versions[str(version.version)] = {
            "run": keys[version.run_id],
            "tags": version.tags,
            "description": version.description,
            "files": sorted(_files(client, version.source.removeprefix("models:/"))),
        }
    by_key = {v["run"]: v for v in versions.values()}
    aliases = {a: versions[str(v)]["run"] for a, v in model.aliases.items()}
    return {"description": model.description, "versions": by_key, "aliases": aliases}


def _files(client: MlflowClient, model: str) -> list[str]:
    """Return the files of a logged model; not by the client, which remembers other copies.

    Without what loading a model leaves beside it: Python's bytecode and MLflow's note of the name
    under which it was asked for.
    """
    folder = _path(client.get_logged_model(model).artifact_location)
    return [
        f.relative_to(folder).as_posix()
        for f in folder.rglob("*")
        if f.is_file() and "__pycache__" not in f.parts and f.name != "registered_model_meta"
    ]


def _path(address: str) -> Path:
    return Path(url2pathname(urlsplit(address).path))


def determined(state: dict[str, Any]) -> dict[str, Any]:
    """Return what must be the same when the same study is trained again: no times, no load."""
    runs = {}
    for key, run in state["runs"].items():
        metrics = {
            name: [(step, value) for step, value, _ in points]
            for name, points in run["metrics"].items()
            if not name.startswith(VOLATILE_METRICS)
        }
        tags = {k: v for k, v in run["tags"].items() if not k.startswith(("unroll.complete",))}
        files = {k: v for k, v in run["files"].items() if k != "dvc.lock"}
        runs[key] = {**run, "metrics": metrics, "tags": tags, "files": files, "ended": None}
    return {**state, "runs": runs}
