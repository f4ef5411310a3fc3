"""The MLflow database: where it is, made whole or not at all, and fit for a moved checkout."""

import contextlib
import logging
import os
import sqlite3
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# An unreachable server must not hold up anyone: by default it is retried for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# MLflow prints the address of a run that ends, with the password that stands in it.
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from unroll.tracking.address import artifacts_root, database_file, tracking_uri
from unroll.tracking.descriptions import BEGINS
from unroll.tracking.state import DESCRIPTION, NOTE, digest_of

# Where MLflow keeps addresses of files. They are absolute, so that a moved checkout would
# write to where it was.
LOCATIONS = {
    "experiments": ["artifact_location"],
    "runs": ["artifact_uri"],
    "logged_models": ["artifact_location"],
    "model_versions": ["source", "storage_location"],
}


def connect() -> MlflowClient:
    """Return a client of the database or server; a database is made where there is none."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    for name in ("sqlalchemy", "mlflow.store"):  # what they log as errors they raise as well
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="mlflow")
    uri, root, database = tracking_uri(), artifacts_root(), database_file()
    if root is not None and database is not None:
        if not database.exists():
            database.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{database}.lock"):
                if not database.exists():  # nobody was faster
                    _create(database)
        _relocate(database, root)
    return MlflowClient(uri, registry_uri=uri)


def experiment(client: MlflowClient, name: str, tags_of: Callable[[str], Mapping[str, str]]) -> str:
    """Return the id of an experiment, with the tags of this id; it is created where there is none.

    A description that is not ours stays.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        root = artifacts_root()
        location = None if root is None else (root / name).as_uri()
        # Where another process was faster, its experiment is as good.
        with contextlib.suppress(MlflowException):
            client.create_experiment(name, artifact_location=location)
        found = client.get_experiment_by_name(name)
        if found is None:
            raise MlflowException(f"the experiment {name} could not be created")
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    kept = {DESCRIPTION, NOTE} if is_theirs(found.tags, BEGINS) else set()
    for tag, value in tags_of(str(found.experiment_id)).items():
        if tag not in kept and found.tags.get(tag) != value:
            client.set_experiment_tag(found.experiment_id, tag, value)
    return str(found.experiment_id)


def is_theirs(tags: Mapping[str, str], begins: str = "") -> bool:
    """Say whether a description among tags is not the one that we wrote.

    An earlier version of this project left no digest of what it wrote: without one, a text is ours
    if it begins as ours did.
    """
    text, note = tags.get(DESCRIPTION), tags.get(NOTE)
    if text is None:
        return False
    return not text.startswith(begins) if note is None else digest_of(text) != note


def _create(database: Path) -> None:
    """Make a database under another name, then give it its own: never half of one."""
    new = database.with_name(f".{database.name}.{os.getpid()}.new")
    try:
        MlflowClient(f"sqlite:///{new}").search_experiments(max_results=1)
        for suffix in ("-journal", "-wal", "-shm"):  # of a database that was deleted
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        new.rename(database)
    finally:
        for left in database.parent.glob(f"{new.name}*"):
            left.unlink()


def _relocate(database: Path, root: Path) -> None:
    """Correct the addresses of files in a database that came here with its checkout."""
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
        rows = connection.execute("SELECT name, artifact_location FROM experiments").fetchall()
        here = root.as_uri()
        for name, location in rows:
            there, slash, last = (location or "").rpartition("/")
            if not slash or last != name or not there.endswith("/mlruns") or there == here:
                continue
            with connection:
                for table, columns in LOCATIONS.items():
                    for column in columns:
                        connection.execute(
                            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                            f"WHERE substr({column}, 1, ?) = ?",
                            (here, len(there) + 1, len(there) + 1, f"{there}/"),
                        )
