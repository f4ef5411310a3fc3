"""The database: made whole or not at all."""

import multiprocessing
import sqlite3

import pytest
from mlflow import MlflowClient

from tracking.states import no_tags
from tracking.writer import EPOCHS, write_run
from unroll.tracking.store import connect, experiment


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


@pytest.mark.slow
def test_what_a_deleted_database_left_does_not_harm_a_new_one(here):
    (here / "mlflow.db-journal").write_bytes(b"rubbish" * 1000)
    (here / "mlflow.db-wal").write_bytes(b"rubbish" * 1000)
    client = connect()
    experiment(client, "addition", no_tags)
    check = sqlite3.connect(here / "mlflow.db").execute("PRAGMA integrity_check").fetchall()
    assert check == [("ok",)]
    assert {path.name for path in here.iterdir()} == {"mlflow.db", "mlflow.db.lock"}


@pytest.mark.long
@pytest.mark.slow
def test_four_workers_on_a_database_that_does_not_exist_three_times(tmp_path, monkeypatch):
    """Processes are forked from one that has imported all of it already: that takes seconds."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    context = multiprocessing.get_context("forkserver")
    mlflow = ["mlflow.store.tracking.sqlalchemy_workspace_store", "alembic.command"]
    context.set_forkserver_preload(["tracking.writer", *mlflow])
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        barrier = context.Barrier(4)
        workers = [context.Process(target=write_run, args=(folder, n, barrier)) for n in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        assert [worker.exitcode for worker in workers] == [0] * 4
        client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
        runs = client.search_runs([client.get_experiment_by_name("addition").experiment_id])
        assert len(runs) == 4
        for run in runs:
            number = int(run.data.params["seed"])
            points = client.get_metric_history(run.info.run_id, "loss")
            found = sorted((p.step, p.value) for p in points)
            assert found == [(e, number + e / EPOCHS) for e in range(1, EPOCHS + 1)]
