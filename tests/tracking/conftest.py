import shutil

import pytest
from mlflow import MlflowClient

from unroll.tracking.store import connect


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A new database takes seconds to make; tests copy it."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def client(empty_database, tmp_path, monkeypatch):
    """Return a client of an empty database in a project's root, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return connect()
