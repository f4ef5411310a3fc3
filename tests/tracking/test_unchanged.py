"""When `unroll track` has nothing to do, told by files alone."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from unroll.study import Study, load
from unroll.tracking.unchanged import Unchanged

PARAMS = """
compute: {device: cpu}
tasks:
  sums: {data: {kind: addition, max_digits: 1, train: 30, valid: 10, test: 10}}
variants:
  plain:
    {task: sums, embedding_size: 4, hidden_size: 4, epochs: 1, batch_size: 10, optimizer: adam,
     learning_rate: 0.1, seeds: [1]}
"""
LOCK = """schema: '2.0'
stages:
  train@plain:
    outs:
    - path: data/toy/models/plain
      md5: aaa
  track:
    outs:
    - path: data/toy/tracked.csv
      md5: bbb
"""
FILES = [
    "data/toy/models/plain/seed-0/weights.safetensors",
    "data/toy/evaluation/plain/scores.csv",
    "data/toy/tracked.csv",
    "mlruns/toy-sums/run/artifacts/samples.txt",
]


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    """Return a study that has been tracked, as far as files tell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in FILES:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("as it was")
    Path("pipeline/toy").mkdir(parents=True)
    Path("pipeline/toy/params.yaml").write_text(PARAMS)
    Path("pipeline/toy/dvc.lock").write_text(LOCK)
    write("create table runs (name)")
    tracked = load("toy")
    Unchanged(tracked).note()
    return tracked


def write(statement: str) -> None:
    with closing(sqlite3.connect("mlflow.db")) as database, database:
        database.execute(statement)


def test_it_holds_as_long_as_nothing_changes(study):
    assert Unchanged(study).holds()
    assert Unchanged(load("toy")).holds()
    assert Path("mlflow.db.toy.tracked").is_file()


def longer(path: Path) -> None:
    path.write_text("as it was, and more")


def later(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize("change", [longer, later, Path.unlink])
@pytest.mark.parametrize("name", FILES)
def test_not_when_a_file_is_another(study, name: str, change: Callable[[Path], None]):
    change(Path(name))
    assert not Unchanged(study).holds()


@pytest.mark.parametrize("folder", ["data/toy/models/plain", "mlruns/toy-sums"])
def test_not_when_a_file_is_new(study, folder):
    Path(folder, "new").write_text("")
    assert not Unchanged(study).holds()


def test_not_when_the_params_are_others(study):
    Path("pipeline/toy/params.yaml").write_text(PARAMS.replace("seeds: [1]", "seeds: [1, 2]"))
    assert not Unchanged(load("toy")).holds()


@pytest.mark.parametrize(("digest", "holds"), [("aaa", False), ("bbb", True)])
def test_of_what_dvc_has_noted_only_that_counts_which_was_there_before(study, digest, holds):
    lock = Path("pipeline/toy/dvc.lock")
    lock.write_text(LOCK.replace(digest, "ccc"))
    assert Unchanged(study).holds() == holds
    lock.unlink()
    assert not Unchanged(study).holds()


def test_not_when_the_database_was_written_though_its_time_and_size_are_the_same(study):
    path = Path("mlflow.db")
    before = path.stat()
    write("insert into runs values ('one')")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert not Unchanged(study).holds()


def test_not_when_the_database_is_gone_or_the_checkout_elsewhere(study, tmp_path, monkeypatch):
    Path("mlflow.db").rename("kept.db")
    assert not Unchanged(study).holds()
    Path("kept.db").rename("mlflow.db")
    assert Unchanged(study).holds()
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    monkeypatch.chdir(moved)
    assert not Unchanged(study).holds()


def test_not_of_another_study_nor_of_a_server(study, monkeypatch):
    Path("pipeline/toy").rename("pipeline/other")
    assert not Unchanged(load("other")).holds()
    Path("pipeline/other").rename("pipeline/toy")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    Unchanged(study).note()
    assert not Unchanged(study).holds()


def test_what_changes_while_it_is_brought_is_not_taken_for_brought(study):
    begun = Unchanged(study)
    longer(Path(FILES[0]))
    begun.note()
    assert not Unchanged(study).holds()


def test_links_are_followed_and_compiled_sources_are_none(study, tmp_path):
    models = Path("data/toy/models")
    models.rename(tmp_path / "elsewhere")
    models.symlink_to(tmp_path / "elsewhere")
    Unchanged(study).note()
    cache = Path("data/toy/models/__pycache__")
    cache.mkdir()
    (cache / "x.pyc").write_text("")
    assert Unchanged(study).holds()
    longer(tmp_path / "elsewhere/plain/seed-0/weights.safetensors")
    assert not Unchanged(study).holds()
