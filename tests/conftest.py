"""What all tests share: a copy of the project in which a study can really run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


class Checkout:
    """A copy of the project with commands that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, fails: bool = False) -> str:
        """Run a command of this environment; return what it printed."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "DVC_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**inherited, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert bool(done.returncode) == fails, done.stdout
        return done.stdout

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands once in a file."""
        text = (self.folder / name).read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        (self.folder / name).write_text(text.replace(old, new))


def copy_project(target: Path) -> None:
    """Copy what belongs to the project: what git tracks, or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:  # no git here
        ignored = shutil.ignore_patterns(".venv", "data", "mlruns", "mlflow.db*", "tmp", "cache")
        shutil.copytree(ROOT, target, ignore=ignored)
        return
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def make_checkout(folder: Path) -> Checkout:
    """Return a git checkout of the project in `folder`, without results of any study."""
    copy_project(folder)
    shutil.rmtree(folder / "reports", ignore_errors=True)
    for lock in folder.rglob("dvc.lock"):
        lock.unlink()
    checkout = Checkout(folder)
    checkout.run("git", "init", "--quiet")
    checkout.run("git", "config", "user.name", "test")
    checkout.run("git", "config", "user.email", "test@example.org")
    checkout.run("git", "add", "--all")
    checkout.run("git", "commit", "--quiet", "--message", "start")
    return checkout


@pytest.fixture(scope="session")
def quick_study(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Return a checkout, in a path with spaces, in which the quick study has run."""
    checkout = make_checkout(tmp_path_factory.mktemp("a study") / "unroll copy")
    checkout.run("dvc", "repro", "pipeline/quick/dvc.yaml")
    return checkout
