"""Runs in MLflow: an experiment per task, a parent run per variant, a child per seed.

A run is known by the tag `unroll.key`, a digest of what determines it (study, variant,
seed, options, data), never by MLflow's run id. Training logs while it runs; evaluation
completes the same runs, and creates them from the run records where training came from
DVC's cache or the database is new.
"""

import functools
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from unroll.tracking.subject import Subject

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# An unreachable server must not hold up training: by default it is retried for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, ViewType
from mlflow.exceptions import MlflowException

KEY = "unroll.key"


def project_root() -> Path:
    """Return the project's root; DVC names it, also where it runs a copy (dvc exp run --temp)."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, or the database at the project's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project_root()}/mlflow.db"


def _guarded(write: Callable[..., None]) -> Callable[..., None]:
    """Let a method of Tracker fail with one warning; after that, none of them does anything."""

    @functools.wraps(write)
    def guarded(self: "Tracker", *arguments: Any, **options: Any) -> None:
        if self.failed:
            return
        try:
            write(self, *arguments, **options)
        except Exception as error:  # whatever the server, its database or the network does
            self.failed = True
            print(
                f"warning: MLflow at {tracking_uri()} could not be written "
                f"({_first_line(error)}); this stage goes on without it",
                file=sys.stderr,
                flush=True,
            )

    return guarded


class Tracker:
    """Writes to MLflow. Where that fails it warns once and writes no more: training goes on."""

    client: MlflowClient
    experiment: str  # its id

    def __init__(self, subject: Subject, facts: Mapping[str, Any]) -> None:
        self.subject, self.facts = subject, facts
        self.failed = False
        self.parent = ""
        self.children: dict[int, str] = {}
        self._connect()

    @_guarded
    def _connect(self) -> None:
        self.client = _quiet_client()
        self.experiment = _experiment(self.client, self.subject)

    @_guarded
    def start(self) -> None:
        """Create the parent run and a child for each seed."""
        self._create_all()

    @_guarded
    def epoch(self, seed: int, row: Mapping[str, float], seconds: float | None = None) -> None:
        """Log an epoch of a seed."""
        extra = {} if seconds is None else {"epoch_seconds": seconds}
        self._log_row(self.children[seed], {**row, **extra})

    @_guarded
    def finish_seed(self, seed: int, files: Sequence[Path]) -> None:
        """End a seed's run and add its files."""
        self._end(self.children[seed], files)

    @_guarded
    def finish(self, histories: Mapping[int, pd.DataFrame]) -> None:
        """Give the parent the mean of its seeds' histories and end it.

        Earlier runs of the same key give way to this one (MLflow keeps deleted runs until
        `mlflow gc`).
        """
        self._log_means(histories)
        self._end(self.parent, [])
        mine = {self.parent, *self.children.values()}
        for key in [self.subject.key(), *map(self.subject.key, self.children)]:
            for run in self._find(key):
                if run.info.run_id not in mine:
                    self.client.delete_run(run.info.run_id)

    @_guarded
    def evaluated(
        self,
        histories: Mapping[int, pd.DataFrame],
        scores: Mapping[int, Mapping[str, float]],
        files: Mapping[int, Sequence[Path]],
        parent_files: Sequence[Path],
    ) -> None:
        """Add final metrics and files to the runs of a variant, created where missing."""
        if not self._adopt(scores):
            self._create_all()
            for seed, history in histories.items():
                for row in history.to_dict("records"):
                    self._log_row(self.children[seed], {str(k): v for k, v in row.items()})
            self._log_means(histories)
        last = {seed: int(history["epoch"].iloc[-1]) for seed, history in histories.items()}
        for seed, metrics in scores.items():
            self._log_row(self.children[seed], {"epoch": last[seed], **metrics})
            self._end(self.children[seed], files[seed])
        table = pd.DataFrame(dict(scores)).T
        summary = {**table.mean(), **table.std().dropna().add_suffix("_std")}
        self._log_row(self.parent, {"epoch": max(last.values()), **summary})
        self._end(self.parent, parent_files)

    def _adopt(self, seeds: Mapping[int, Any]) -> bool:
        """Take the runs that are there already; say whether all of them are."""
        found = {seed: self._find(self.subject.key(seed)) for seed in seeds}
        parents = self._find(self.subject.key())
        if not parents or not all(found.values()):
            return False
        self.parent = parents[0].info.run_id
        self.children = {seed: runs[0].info.run_id for seed, runs in found.items()}
        return True

    def _find(self, key: str) -> list[Run]:
        """Return the runs of a key, the newest first."""
        return list(
            self.client.search_runs(
                [self.experiment],
                filter_string=f"tags.`{KEY}` = '{key}'",
                run_view_type=ViewType.ACTIVE_ONLY,
                order_by=["attributes.start_time DESC"],
            )
        )

    def _create_all(self) -> None:
        subject = self.subject
        self.parent = self._create(subject.variant, subject.key(), {"unroll.level": "variant"})
        for seed in subject.options.seeds:
            self.children[seed] = self._create(
                f"{subject.variant} seed {seed}",
                subject.key(seed),
                {"mlflow.parentRunId": self.parent, "unroll.level": "seed", "seed": str(seed)},
            )

    def _create(self, name: str, key: str, tags: Mapping[str, str]) -> str:
        subject = self.subject
        common = {
            KEY: key,
            "study": subject.study,
            "task": subject.task,
            "variant": subject.variant,
            "data.digest": subject.data_digest,
            **{f"facts.{k}": str(v) for k, v in self.facts.items() if k != "parameters"},
            **{f"version.{p}": version(p) for p in ("unroll", "mlflow", "dvc")},
            **_git_tags(),
            **{t: os.environ[v] for t, v in _DVC_TAGS.items() if v in os.environ},
        }
        run = self.client.create_run(self.experiment, tags={**common, **tags}, run_name=name)
        run_id = str(run.info.run_id)
        options = {k: v for k, v in subject.options.model_dump().items() if k != "seeds"}
        if "seed" in tags:
            options["seed"] = tags["seed"]
        else:
            options["seeds"] = subject.options.seeds
        self.client.log_batch(run_id, params=[Param(k, str(v)) for k, v in options.items()])
        return run_id

    def _log_row(self, run_id: str, row: Mapping[str, float]) -> None:
        now, step = int(time.time() * 1000), int(row["epoch"])
        metrics = [Metric(k, float(v), now, step) for k, v in row.items() if k != "epoch"]
        self.client.log_batch(run_id, metrics=metrics)

    def _log_means(self, histories: Mapping[int, pd.DataFrame]) -> None:
        means = pd.concat(histories.values()).groupby("epoch", as_index=False).mean()
        for row in means.to_dict("records"):
            self._log_row(self.parent, {str(k): v for k, v in row.items()})

    def _end(self, run_id: str, files: Sequence[Path]) -> None:
        for file in files:
            self.client.log_artifact(run_id, str(file))
        if "parameters" in self.facts:
            count = float(self.facts["parameters"])
            metric = Metric("parameters", count, int(time.time() * 1000), 0)
            self.client.log_batch(run_id, metrics=[metric])
        if self.client.get_run(run_id).info.status == "RUNNING":
            self.client.set_terminated(run_id)


_DVC_TAGS = {"dvc.stage": "DVC_STAGE", "dvc.experiment": "DVC_EXP_NAME"}


def _quiet_client() -> MlflowClient:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    return MlflowClient(tracking_uri())


def _experiment(client: MlflowClient, subject: Subject) -> str:
    """Return the id of the task's experiment; it is created where it does not exist."""
    found = client.get_experiment_by_name(subject.experiment)
    if found is not None:
        return str(found.experiment_id)
    local = tracking_uri().startswith("sqlite:")
    location = (project_root() / "mlruns" / subject.experiment).as_uri() if local else None
    try:
        return str(client.create_experiment(subject.experiment, artifact_location=location))
    except MlflowException:  # another stage was faster
        found = client.get_experiment_by_name(subject.experiment)
        if found is None:
            raise
        return str(found.experiment_id)


def _git_tags() -> dict[str, str]:
    """Return the commit and whether files differ from it; nothing outside a git checkout."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=project_root(), capture_output=True, text=True
            )
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return {}
    dirty = bool(git("status", "--porcelain", "--untracked-files=no"))
    return {"mlflow.source.git.commit": commit, "git.dirty": str(dirty).lower()}


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
