"""What all tests share: a copy of the project in which a study can really run."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from filelock import FileLock
from hypothesis import settings

ROOT = Path(__file__).parents[1]

settings.register_profile("unroll", deadline=None)  # a slow machine is no fault
settings.load_profile("unroll")


# The first ones make or run a study each, side by side. While test_projection.py makes the one that
# others share, the other process has files that do without.
LONGEST = [
    "test_quick_study.py",
    "test_killed_anywhere.py",
    "test_behaviour.py",
    "test_commands.py",
    "test_projection.py",
    "test_workers.py",
    "test_resume.py",
    "test_failing_files.py",
    "test_hostile_files.py",
    "test_failures.py",
    "test_serving.py",
]
LONGEST_SECONDS = 2400  # of a test marked long, on a slow machine with others beside it


def heed_signals() -> None:
    """Let the programs that tests start heed signals which this process was started to ignore.

    Started with nohup, or in the background of a script, a process ignores some, and what it
    starts inherits that: a test that sends one would wait in vain. A signal that is handled,
    though by nothing, is none that is inherited.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)


def pytest_configure() -> None:
    """Begin, also in each process of xdist."""
    heed_signals()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process is left with it at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def order(item: pytest.Item) -> int:
        if item.path.name in LONGEST:
            return LONGEST.index(item.path.name)
        return len(LONGEST) + (item.path not in slow)

    items.sort(key=order)
    for item in items:  # a study that is made for a test counts as the test's own time
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONGEST_SECONDS))


class Checkout:
    """A copy of the project with commands that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, fails: bool = False, env: dict[str, str] | None = None) -> str:
        """Run a command of this environment; return what it printed."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert bool(done.returncode) == fails, done.stdout
        return done.stdout

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """Return environment variables in which this project's commands are found."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "DVC_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**inherited, "PATH": path, **(more or {})}

    @contextlib.contextmanager
    def served(self, *command: str, health: str) -> Iterator[str]:
        """Yield the address of a server once it is well; {port} in its command is a free one.

        Nobody else can reach it: where no MLFLOW_HOST says otherwise, it listens on this machine.
        """
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        with (
            tempfile.TemporaryFile("w+") as output,
            subprocess.Popen(
                [part.replace("{port}", str(port)) for part in command],
                cwd=self.folder,
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                if not _well(address + health, process):
                    output.seek(0)
                    raise AssertionError(output.read())
                hosts = _listening(process.pid)
                assert hosts and hosts <= {"127.0.0.1", "::1"}, hosts
                yield address
            finally:
                os.killpg(process.pid, signal.SIGTERM)

    def copy(self, target: Path) -> "Checkout":
        """Return a copy with all that has been run, as if the folder had been moved."""
        shutil.copytree(self.folder, target, symlinks=True)
        return Checkout(target)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands once in a file."""
        text = (self.folder / name).read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        (self.folder / name).write_text(text.replace(old, new))


def _well(address: str, process: subprocess.Popen) -> bool:
    """Wait for a server."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(requests.RequestException):
            if requests.get(address, timeout=5).ok:
                return True
        time.sleep(0.2)
    return False


def _listening(pid: int) -> set[str]:
    """Return the hosts on which a process and those that it has started wait for connections."""
    process, found = psutil.Process(pid), set()
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # it may have ended meanwhile
            connections = one.net_connections("inet")
            found |= {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    return found


def copy_project(target: Path) -> None:
    """Copy what belongs to the project: what git tracks, or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:  # no git here
        made = shutil.ignore_patterns(".venv", "data", "mlruns", "mlflow.db*", "tmp", "cache")
        shutil.copytree(
            ROOT, target, ignore=lambda f, names: made(f, names) if Path(f) == ROOT else set()
        )
        return
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def make_checkout(folder: Path) -> Checkout:
    """Return a git checkout of the project in `folder`, without results of any study."""
    copy_project(folder)
    made = [folder / "reports", *(path for path in (folder / "data").glob("*") if path.is_dir())]
    for results in made:
        shutil.rmtree(results, ignore_errors=True)
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
    """Return a checkout, in a path with spaces, in which the quick study has run.

    It is made anew in every process: the tests that use it stand in one file.
    """
    checkout = make_checkout(tmp_path_factory.mktemp("a study") / "unroll copy")
    checkout.run("dvc", "repro", "pipeline/quick/dvc.yaml")
    return checkout


TOY = """
compute:
  workers: 2
tasks:
  addition:
    data: {kind: addition, max_digits: 1, train: 30, valid: 10, test: 10}
    defaults:
      seeds: [0, 1]
      embedding_size: 4
      hidden_size: 8
      epochs: 3
      batch_size: 5
      optimizer: adam
      learning_rate: 0.01
  grammar:
    data: {kind: text, source: grammar, sentences: 300}
    defaults:
      seeds: [0]
      embedding_size: 8
      hidden_size: 8
      epochs: 2
      batch_size: 4
      time_steps: 10
      optimizer: adam
      learning_rate: 0.01
variants:
  baseline: {task: addition}
  peeky: {task: addition, decoder: peeky}
  rnnlm: {task: grammar}
comparison:
  references: {peeky: baseline}
generate:
  prompts: [you]
  length: 10
scoring:
  methods: [cache, dynamic]
  inside: true
"""


@pytest.fixture(scope="session")
def toy_study(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Return a checkout in which the smallest study has run: `toy`, its lock file committed.

    All processes have the same one, which the first makes: look at it, run things in copies.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    made = shared / "toy study"
    with FileLock(f"{made}.lock"):
        if not made.exists():
            folder = tmp_path_factory.mktemp("toy") / "project"
            run_toy_study(folder)
            made.write_text(str(folder))
    return Checkout(Path(made.read_text()))


def run_toy_study(folder: Path) -> None:
    """Make a checkout and run the toy study there."""
    checkout = make_checkout(folder)
    quick, toy = (checkout.folder / "pipeline" / name for name in ("quick", "toy"))
    toy.mkdir()
    text = (quick / "dvc.yaml").read_text().partition("\nplots:")[0]  # they are of its tasks
    header, stages, body = text.partition("\nstages:\n")
    (toy / "dvc.yaml").write_text(header.replace("quick", "toy") + stages + body + "\n")
    (toy / "params.yaml").write_text(TOY)
    checkout.run("git", "add", "--all")
    checkout.run("git", "commit", "--quiet", "--message", "toy study")
    checkout.run("dvc", "repro", "pipeline/toy/dvc.yaml")
    checkout.run("git", "add", "--all")
    checkout.run("git", "commit", "--quiet", "--message", "toy results")
