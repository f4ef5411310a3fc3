"""Where MLflow is: by default in the project, whatever the environment says of others."""

import pytest

from unroll.errors import UserError
from unroll.tracking.address import artifacts_root, project_root, shown_uri, tracking_uri

VARIABLE = "MLFLOW_TRACKING_URI"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def test_the_database_lies_in_the_projects_root(here):
    assert tracking_uri() == f"sqlite:///{here}/mlflow.db"
    assert artifacts_root() == here / "mlruns"


def test_also_for_a_copy_that_dvc_runs(here, monkeypatch):
    copy = here / ".dvc/tmp/exps/tmp1"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(here))
    assert tracking_uri() == f"sqlite:///{here}/mlflow.db"
    monkeypatch.setenv(VARIABLE, "sqlite:///runs/own.db")
    assert tracking_uri() == f"sqlite:///{here}/runs/own.db"


def test_the_root_of_another_project_does_not_count(here, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", "/elsewhere")
    assert project_root() == here


@pytest.mark.parametrize(
    "uri",
    ["http://server:5000", "https://server", "postgresql+psycopg2://u@h/db", "sqlite:////a/b.db"],
)
def test_what_is_whole_is_taken_as_it_is(here, monkeypatch, uri):
    monkeypatch.setenv(VARIABLE, uri)
    assert tracking_uri() == uri


@pytest.mark.parametrize(
    "uri", ["file:./mlruns", "mlruns", "file:///tmp/x", "oracle://h/d", "sqlite"]
)
def test_what_is_no_address_is_named_with_what_it_may_be(here, monkeypatch, uri):
    monkeypatch.setenv(VARIABLE, uri)
    with pytest.raises(UserError) as caught:
        tracking_uri()
    assert str(caught.value).startswith(f"{VARIABLE}: {uri} is no address")
    assert "sqlite:///mlflow.db" in str(caught.value)
    assert shown_uri() == VARIABLE


@pytest.mark.parametrize("symbol", "?#")
def test_a_folder_that_an_address_cannot_hold_is_named(here, monkeypatch, symbol):
    folder = here / f"what{symbol}"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match=r"mlflow\.db: an address of SQLite is cut at .* rename"):
        tracking_uri()


def test_a_password_is_not_shown(monkeypatch):
    monkeypatch.setenv(VARIABLE, "https://user:secret@host:5000/path?token=secret")
    assert shown_uri() == "https://***@host:5000/path?token=***"
    monkeypatch.setenv(VARIABLE, "postgresql://user:secret@host/mlflow")
    assert shown_uri() == "postgresql://***@host/mlflow"
