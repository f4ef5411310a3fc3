import shutil

import pytest

from unroll.training import code
from unroll.training.sources import TRAINING, sources_digest


@pytest.fixture
def package(tmp_path, monkeypatch):
    copy = tmp_path / "unroll"
    shutil.copytree(code.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", copy)
    return copy


def test_the_place_of_the_package_does_not_matter(monkeypatch, package):
    moved = sources_digest()
    monkeypatch.undo()
    assert sources_digest() == moved
    assert len(moved) == 64


def test_line_ends_do_not_matter(package):
    before = sources_digest()
    for path in package.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert b"\r\n" in (package / "record.py").read_bytes()
    assert sources_digest() == before


@pytest.mark.parametrize("name", [*TRAINING, "models/layers.py", "models/padding.py"])
def test_a_change_of_training_code_changes_the_digest(package, name):
    before = sources_digest()
    path = package / name
    path = path if path.is_file() else path / "build.py"
    path.write_text(path.read_text() + "pass\n")
    assert sources_digest() != before


@pytest.mark.parametrize(
    "name", ["cli.py", "training/progress.py", "training/workers.py", "tracking/runs.py"]
)
def test_a_change_of_display_workers_or_tracking_does_not(package, name):
    before = sources_digest()
    (package / name).write_text("pass\n")
    assert sources_digest() == before


def test_a_new_file_and_a_new_name_change_the_digest(package):
    before = sources_digest()
    (package / "models" / "notes.txt").write_text("not code")
    assert sources_digest() == before
    (package / "models" / "zeta.py").write_text("pass\n")
    added = sources_digest()
    (package / "models" / "zeta.py").rename(package / "models" / "zeta_2.py")
    assert len({before, added, sources_digest()}) == 3


def test_a_missing_file_is_not_passed_over(package):
    (package / "seeds.py").unlink()
    with pytest.raises(FileNotFoundError):
        sources_digest()
