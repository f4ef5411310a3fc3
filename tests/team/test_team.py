"""A team at work, as docs/team/README.md says, with its real parts: what the page says is typed."""

import hashlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import mlflow
import psutil
import pytest
import requests
from mlflow import MlflowClient
from playwright.sync_api import Error

from browser import chromium, needs_chromium
from conftest import Checkout
from team.parts import (
    Server,
    free_port,
    make_team,
    needs_postgresql,
    needs_sshd,
    open_folder,
    said,
    ssh_server,
    until,
)
from tracking.states import KEY, all_runs, database_state, determined
from unroll.tracking.runs import COMPLETE

pytestmark = [pytest.mark.slow, pytest.mark.long, needs_postgresql]

RUNS, MODELS = "Runs: MLflow on PostgreSQL", "Models and data: a DVC remote"
RUNS_OF_TOY = 8  # five seeds and three variants
API = "/api/2.0/mlflow/"
ADA = "twelve or more"


def type_in(checkout: Checkout, lines: str, env: dict[str, str] | None = None) -> str:
    return checkout.run("bash", "-ec", lines, env=env)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def first(toy_study, tmp_path_factory) -> Checkout:
    """Return the checkout of who has trained."""
    return toy_study.copy(tmp_path_factory.mktemp("first") / "project")


@pytest.fixture(scope="module")
def server(first, folder) -> Iterator[Server]:
    with make_team(first, folder / "team", free_port()) as server:
        yield server


@pytest.fixture(scope="module")
def tracked(server, first) -> str:
    """Let the first one track; return what that said."""
    return type_in(first, said(RUNS, 1, address=server.address, team=str(server.folder)))


@pytest.fixture(scope="module")
def ada(server, tracked, first) -> dict[str, str]:
    """Make a member; return her environment."""
    type_in(first, said(RUNS, 2, address=server.address, team=str(server.folder)))
    return server.login("ada", ADA)


def held(environment: dict[str, str], folder: Path, monkeypatch) -> dict[str, dict]:
    """Return what a server holds of each run, by its key: metrics, and the digest of each file."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    uri = environment["MLFLOW_TRACKING_URI"]
    client = MlflowClient(uri, registry_uri=uri)
    runs = all_runs(client)
    found = {}
    for run in runs:
        files = folder / run.info.run_id
        files.mkdir(parents=True)
        client.download_artifacts(run.info.run_id, "", str(files))
        found[run.data.tags[KEY]] = {"metrics": run.data.metrics, "files": digests(files)}
    assert len(found) == len(runs) == RUNS_OF_TOY
    return found


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_nobody_gets_in_without_a_password(server):
    search = f"{server.address}{API}experiments/search?max_results=1"
    assert requests.get(search, timeout=30).status_code == 401
    assert requests.get(search, auth=("admin", "password1234"), timeout=30).status_code == 401
    assert requests.get(search, auth=("admin", server.password), timeout=30).ok
    assert requests.get(f"{server.address}/", timeout=30).status_code == 401
    artifacts = f"{server.address}/api/2.0/mlflow-artifacts/artifacts"
    assert requests.get(artifacts, timeout=30).status_code == 401


def test_what_is_secret_can_be_read_by_nobody_else(server):
    for name in ("admin-password", "secret-key", "postgresql.log", "mlflow.log"):
        assert (server.folder / name).stat().st_mode & 0o077 == 0, name
    for name in ("database", "artifacts"):
        assert (server.folder / name).stat().st_mode & 0o077 == 0, name
    assert len(server.password) > 20
    told = server.output.read_text() + (server.folder / "mlflow.log").read_text()
    assert server.password not in told


def test_without_a_login_track_says_so_and_writes_nothing(server, first):
    told = first.run(
        "unroll", "--study", "toy", "track", fails=True,
        env={"MLFLOW_TRACKING_URI": server.address},
    )  # fmt: skip
    assert "401" in told
    assert "Traceback" not in told


def test_with_it_runs_are_written(tracked, server, tmp_path, monkeypatch):
    assert tracked.count("created") >= RUNS_OF_TOY
    of_server = held(server.login(), tmp_path, monkeypatch)
    assert all(run["files"] for run in of_server.values())


def clone_of(checkout: Checkout, folder: Path) -> Checkout:
    checkout.run("git", "clone", "--quiet", ".", str(folder))
    return Checkout(folder)


def holds_the_same(clone: Checkout, first: Checkout) -> None:
    """Compare what came by the remote, and what MLflow makes of it without a server."""
    for part in ("models", "circumstances"):
        came = digests(clone.folder / "data/toy" / part)
        assert any(name.endswith("weights.safetensors") for name in came) == (part == "models")
        assert came == digests(first.folder / "data/toy" / part)
    clone.run("unroll", "--study", "toy", "track")
    one, other = (determined(database_state(c.folder)) for c in (clone, first))
    assert one["runs"] == other["runs"]
    assert one["models"] == other["models"]


def test_a_second_clone_pulls_from_a_folder_and_finds_the_same_runs(
    first, folder, server, ada, tmp_path, monkeypatch
):
    type_in(first, said(MODELS, 0, store=str(folder)))
    second = clone_of(first, tmp_path / "second")
    before = held(server.login(), tmp_path / "before", monkeypatch)
    told = type_in(second, said(MODELS, 2), env=ada)
    assert told.count("kept") >= RUNS_OF_TOY
    assert not re.search(r"\b(created|completed|replaced)\b", told)
    assert held(ada, tmp_path / "after", monkeypatch) == before
    holds_the_same(second, first)


def test_a_member_can_replace_a_run_that_another_began(first, server, ada, monkeypatch):
    """`unroll track` deletes what a killed training has left, whoever began it."""
    for name, value in server.login().items():
        monkeypatch.setenv(name, value)
    client = MlflowClient(server.address, registry_uri=server.address)
    run = next(run for run in all_runs(client) if run.info.run_name == "rnnlm seed 0")
    client.log_metric(run.info.run_id, "valid/perplexity", 1.0, step=99)
    client.delete_tag(run.info.run_id, COMPLETE)
    told = first.run("unroll", "--study", "toy", "track", env=ada)
    assert re.search(r"rnnlm +0 +replaced", told)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"


def test_a_member_makes_no_members(server, ada):
    asked = {"username": "eve", "password": "twelve or more"}
    made = requests.post(
        f"{server.address}{API}users/create", json=asked, auth=("ada", ADA), timeout=30
    )
    assert made.status_code == 403


@needs_sshd
def test_a_clone_on_another_machine_comes_by_ssh(first, folder, server, ada, tmp_path, monkeypatch):
    home, port = folder / "home", free_port()
    with ssh_server(home):
        (folder / "by-ssh").mkdir()
        at_home = {"HOME": str(home)}
        type_in(first, said(MODELS, 1, store=str(folder / "by-ssh")), env=at_home)
        third = clone_of(first, tmp_path / "third")
        tunnel = said(RUNS, 3).replace("ssh ", f"ssh -F {home}/.ssh/config ")
        own = server.address.rpartition(":")[2]
        tunnel = tunnel.replace("5000:127.0.0.1:5000", f"{port}:127.0.0.1:{own}")
        output = tmp_path / "ssh.txt"
        with output.open("w") as told:
            process = subprocess.Popen(["bash", "-c", f"exec {tunnel}"], stdout=told, stderr=told)
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/health"), process, output)
            hers = {**ada, **at_home, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
            printed = type_in(third, said(MODELS, 2), env=hers)
        finally:
            process.terminate()
            process.wait(30)
    assert printed.count("kept") >= RUNS_OF_TOY
    assert not re.search(r"\b(created|completed|replaced)\b", printed)
    holds_the_same(third, first)


def answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).ok
    except requests.RequestException:
        return False


@needs_chromium
def test_the_ui_stands_behind_the_login(server, tracked):
    with chromium() as browser:
        with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            browser.new_page().goto(server.address)
        page = browser.new_context(
            http_credentials={"username": "admin", "password": server.password}
        ).new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{server.address}/#/experiments")
        page.get_by_role("link", name="toy-addition").first.wait_for()
        page.goto(f"{server.address}/signup")
        page.locator("input[name=username]").fill("grace")
        page.locator("input[name=password]").fill("more than twelve")
        with page.expect_response("**/users/create-ui"):
            page.locator("input[type=submit]").click()
    search = f"{server.address}{API}experiments/search?max_results=1"
    assert requests.get(search, auth=("grace", "more than twelve"), timeout=30).ok


def test_a_second_server_of_a_folder_and_of_a_port_is_refused(server, first, folder):
    port = server.address.rpartition(":")[2]

    def refused(**place: str) -> str:
        return first.run("docs/team/serve.sh", fails=True, env=place)

    assert "is served already" in refused(PORT=str(free_port()), TEAM=str(server.folder))
    told = refused(PORT=port, TEAM=str(folder / "other"))
    assert f"something listens on port {port} already" in told
    assert not (folder / "other").exists()
    short = refused(
        PORT=str(free_port()), TEAM=str(folder / "short"), MLFLOW_AUTH_ADMIN_PASSWORD="short"
    )
    assert "from 12 characters on" in short


def test_all_is_there_when_it_was_ended_and_started_again(
    server, first, ada, tmp_path, monkeypatch
):
    before = held(ada, tmp_path / "before", monkeypatch)
    password = server.password
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.process.wait(60) is not None
    assert not answers(f"{server.address}/health")
    log = (server.folder / "postgresql.log").read_text()
    assert log.rstrip().endswith("database system is shut down")
    assert not (server.folder / "database/postmaster.pid").exists()
    with make_team(first, server.folder, free_port()) as again:
        assert again.password == password
        hers = again.login("ada", ADA)
        assert held(hers, tmp_path / "after", monkeypatch) == before
        told = first.run("unroll", "--study", "toy", "track", env=hers)
        assert told.count("kept") >= RUNS_OF_TOY


def test_who_kills_it_leaves_nothing_behind_and_loses_nothing(first, folder, tmp_path, monkeypatch):
    team = folder / "team"
    with make_team(first, team, free_port()) as server:
        below = psutil.Process(server.process.pid).children(recursive=True)
        [script] = [one for one in below if one.cmdline()[1:] == ["docs/team/serve.sh"]]
        script.kill()
        _, left = psutil.wait_procs(below, timeout=30)
        assert not left
    with make_team(first, team, free_port()) as server:
        for name, value in server.login().items():
            monkeypatch.setenv(name, value)
        came = mlflow.artifacts.download_artifacts(
            "models:/toy-addition@peeky", dst_path=str(tmp_path), tracking_uri=server.address
        )
        [weights] = Path(came).rglob("weights.safetensors")
        ours = digests(first.folder / "data/toy/models/peeky")
        assert hashlib.sha256(weights.read_bytes()).hexdigest() in ours.values()
