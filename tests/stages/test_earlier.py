"""Models that DVC has cleared away come from its cache; in a real project of DVC."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.toys import task_section
from unroll.stages.earlier import bring_back
from unroll.storage.files import write_text
from unroll.study import load

PARAMS = f"tasks:\n{task_section('sums', 8)}variants:\n  plain: {{task: sums}}\n"
STAGES = """\
stages:
  train:
    foreach: [plain]
    do:
      cmd: mkdir -p data && cp -r made/* data
      outs:
        - data/circumstances/${item}
        - data/models/${item}
"""
FILES = {
    "models/plain/seed-0/weights.safetensors": "weights",
    "models/plain/seed-0/manifest.json": "{}",
    "models/plain/seed-12/weights.safetensors": "other weights",
    "circumstances/plain/seed-0/epochs.csv": "epoch\n1\n",
    "circumstances/plain/seed-0/uncommitted.diff": "",
}


def dvc(*arguments: str) -> None:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DVC_")}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        env={**inherited, "DVC_NO_ANALYTICS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return a folder in which DVC has run the training of a variant, and a remote holds it."""
    folder = tmp_path_factory.mktemp("a study")
    write_text(folder / "params.yaml", PARAMS)
    write_text(folder / "dvc.yaml", STAGES)
    for name, text in FILES.items():
        write_text(folder / "made" / name, text)
    before = Path.cwd()
    os.chdir(folder)
    try:
        dvc("init", "--no-scm", "--quiet")
        dvc("repro", "--quiet")
        dvc("remote", "add", "--quiet", "--default", "store", str(folder / "store"))
        dvc("push", "--quiet")
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def study(ran, tmp_path, monkeypatch):
    """Return a study whose outputs DVC has cleared away, as before it runs a stage."""
    shutil.copytree(ran, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    for name in [name for name in os.environ if name.startswith("DVC_")]:
        monkeypatch.delenv(name)
    study = load()
    for folder in (study.model("plain"), study.circumstances("plain")):
        shutil.rmtree(folder)
    return study


def there() -> dict[str, str]:
    folder = Path("data")
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_text() for file in files}


def test_all_files_of_all_seeds_come_back(study):
    bring_back(study, "plain")
    assert there() == FILES


def test_what_comes_back_is_no_part_of_the_cache(study):
    """A file that is written to must not be another name of one that DVC keeps."""
    bring_back(study, "plain")
    for file in Path("data").rglob("*"):
        if file.is_file():
            assert not file.is_symlink() and file.stat().st_nlink == 1
            assert os.access(file, os.W_OK)


def test_where_something_is_left_nothing_is_brought(study):
    (study.model("plain") / "seed-0").mkdir(parents=True)
    bring_back(study, "plain")
    assert there() == {}
    assert not study.circumstances("plain").exists()


def test_without_the_cache_nothing_is_brought_and_nothing_said(study, capfd):
    shutil.rmtree(".dvc/cache")
    shutil.rmtree("store", ignore_errors=True)
    dvc("remote", "remove", "store")
    bring_back(study, "plain")
    assert not there()
    assert capfd.readouterr() == ("", "")


def test_without_the_cache_a_remote_is_asked(study):
    shutil.rmtree(".dvc/cache")
    bring_back(study, "plain")
    assert there() == FILES


@pytest.mark.parametrize("lock", [None, "", "schema: '2.0'\nstages: {}\n", "[", "\0"])
def test_where_dvc_has_noted_no_training_nothing_is_brought(study, lock):
    study.lock_file.unlink()
    if lock is not None:
        study.lock_file.write_text(lock)
    bring_back(study, "plain")
    assert not there()


def test_where_there_is_no_dvc_nothing_is_brought(study):
    shutil.rmtree(".dvc")
    bring_back(study, "plain")
    assert not there()
