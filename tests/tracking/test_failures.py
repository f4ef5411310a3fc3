"""What MLflow does wrong never stops training, and is made up for."""

import contextlib
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from tracking.states import database_state

pytestmark = pytest.mark.slow

TRAIN = ("unroll", "--study", "toy", "train", "rnnlm")
TRACK = ("unroll", "--study", "toy", "track")
SERVER = ("mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", "{port}",
          "--backend-store-uri", "sqlite:///elsewhere.db")  # fmt: skip
PASSWORD = "hush"


@pytest.fixture
def study(toy_study, tmp_path):
    """Return a copy in which one variant is to be trained: what is trained already is kept."""
    copy = toy_study.copy(tmp_path / "project")
    for folder in ("models", "circumstances"):
        shutil.rmtree(copy.folder / "data/toy" / folder / "rnnlm")
    shutil.rmtree(copy.folder / ".dvc/cache")
    return copy


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """Yield the address of a server that takes requests and never answers."""
    listening = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def take() -> None:
        with contextlib.suppress(OSError):
            while True:
                taken.append(listening.accept()[0])

    threading.Thread(target=take, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.close()
    for connection in taken:
        connection.close()


@contextlib.contextmanager
def older_server(newer: str) -> Iterator[str]:
    """Yield the address of a server that passes all on but what came with MLflow 3: models."""

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body, headers = self.rfile.read(length), dict(self.headers)
            if "logged-models" in self.path:
                status, content = 404, b"<title>404 Not Found</title>"
            else:
                answer = requests.request(
                    self.command, newer + self.path, data=body, headers=headers, timeout=60
                )
                status, content = answer.status_code, answer.content
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815

        def log_message(self, *of: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def train_without_mlflow(study, uri: str, *prefix: str) -> float:
    """Train with this tracking address: one warning, no error. Return the seconds it took."""
    started = time.monotonic()
    output = study.run(*prefix, *TRAIN, env={"MLFLOW_TRACKING_URI": uri} if uri else None)
    assert output.count("warning: MLflow at") == 1
    assert "`unroll track` adds later what is missing" in output
    assert "Traceback" not in output
    assert PASSWORD not in output
    return time.monotonic() - started


def the_rest_comes_with_track(study) -> None:
    """Assert that `unroll track` gives what a new database would hold."""
    study.run(*TRACK)
    found = database_state(study.folder)
    (study.folder / "mlflow.db").unlink()
    shutil.rmtree(study.folder / "mlruns")
    study.run(*TRACK)
    rebuilt = database_state(study.folder)
    assert {key: found["runs"][key] for key in rebuilt["runs"]} == rebuilt["runs"]
    assert len(rebuilt["runs"]) == 8


@pytest.mark.long
def test_an_unreachable_server_whose_password_nobody_sees(study):
    uri = f"http://me:{PASSWORD}@127.0.0.1:9"
    train_without_mlflow(study, uri)
    error = study.run(*TRACK, fails=True, env={"MLFLOW_TRACKING_URI": uri})
    assert "error: MLflow at http://***@127.0.0.1:9 could not be written" in error
    assert PASSWORD not in error
    the_rest_comes_with_track(study)


@pytest.mark.long
def test_a_server_whose_password_nobody_sees(study):
    with study.served(*SERVER, health="/health") as address:
        env = {"MLFLOW_TRACKING_URI": address.replace("://", f"://me:{PASSWORD}@")}
        told = study.run(*TRACK, env=env)
    assert "created" in told
    assert PASSWORD not in told


@pytest.mark.long
def test_a_server_that_keeps_no_models_has_the_runs_of_every_task(toy_study, tmp_path):
    study = toy_study.copy(tmp_path / "project")
    with study.served(*SERVER, health="/health") as newer, older_server(newer) as older:
        told = study.run(*TRACK, env={"MLFLOW_TRACKING_URI": older})
        again = study.run(*TRACK, env={"MLFLOW_TRACKING_URI": newer})
    assert told.count("left out: the server is older than MLflow 3") == 2
    assert "Traceback" not in told
    assert "Not Found" not in told
    assert "created" in again  # the models; the runs are all there
    assert {line.split()[-2] for line in again.splitlines() if "all" in line.split()} == {"kept"}


@pytest.mark.long
def test_a_server_that_never_answers(study):
    with silent_server() as uri:
        assert train_without_mlflow(study, uri) < 60
        started = time.monotonic()
        error = study.run(*TRACK, fails=True, env={"MLFLOW_TRACKING_URI": uri})
        assert time.monotonic() - started < 60
    assert f"error: MLflow at {uri} could not be written" in error
    assert "Traceback" not in error


def test_a_database_that_cannot_be_written(study):
    database = study.folder / "mlflow.db"
    train_without_mlflow(study, f"sqlite:///file:{database}?mode=ro&uri=true")


@pytest.mark.long
def test_a_full_disk(study):
    """No file may grow beyond the size of the database, as if the disk were full."""
    blocks = (study.folder / "mlflow.db").stat().st_size // 1024
    limit = ("bash", "-c", f'ulimit -f {blocks}; exec "$@"', "limit")
    train_without_mlflow(study, "", *limit)
    the_rest_comes_with_track(study)


@pytest.mark.long
def test_a_database_of_another_version_of_mlflow(study):
    database = study.folder / "mlflow.db"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        [(version,)] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        connection.execute("UPDATE alembic_version SET version_num = 'deadbeef0000'")
    train_without_mlflow(study, "")
    assert "could not be written" in study.run(*TRACK, fails=True)
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
    assert "replaced" in study.run(*TRACK)


@pytest.mark.long
def test_rubbish_instead_of_a_database(study):
    (study.folder / "mlflow.db").write_bytes(b"rubbish" * 1000)
    train_without_mlflow(study, "")
    (study.folder / "mlflow.db").unlink()
    assert "created" in study.run(*TRACK)
