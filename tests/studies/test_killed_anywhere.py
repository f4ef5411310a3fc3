"""A study that is killed again and again ends where an unbroken one ends.

`UNROLL_KILLS=50 pytest -s -n 0 tests/studies/test_killed_anywhere.py` gives the figures of
docs/reliability.md.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from tracking.states import database_state, determined
from unroll.training.workers import GRACE

pytestmark = pytest.mark.slow

STUDY = "pipeline/toy/dvc.yaml"
KILLS = int(os.environ.get("UNROLL_KILLS", "6"))
LONGEST = 14.0  # seconds until a kill
PATIENCE = 8.0  # seconds in which what is left must be gone


def outcome(folder: Path) -> dict[str, bytes]:
    """Return what must be the same, bit for bit: weights, histories, scores, metrics, samples."""
    data = folder / "data/toy"
    files = [
        *data.glob("models/*/seed-*/*"),
        *data.glob("evaluation/**/*"),
        *data.glob("generated/*"),
        *folder.glob("reports/toy/metrics/*"),
    ]
    return {str(f.relative_to(folder)): f.read_bytes() for f in files if f.is_file()}


def forget(folder: Path) -> None:
    """Remove all that the study has made."""
    for made in ("data/toy", "reports/toy", "mlruns", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(folder / made, ignore_errors=True)
    for made in ("mlflow.db", "pipeline/toy/dvc.lock"):
        (folder / made).unlink(missing_ok=True)


def start(study) -> subprocess.Popen:
    return subprocess.Popen(
        ["dvc", "repro", STUDY],
        cwd=study.folder,
        env=study.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def tree(process: subprocess.Popen) -> list[psutil.Process]:
    root = psutil.Process(process.pid)
    return [root, *root.children(recursive=True)]


def at_work(processes: list[psutil.Process]) -> str:
    """Return the stage that runs."""
    for process in processes:
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "--study" in words:
            return words[words.index("--study") + 2]
    return "dvc"


def kill_one(process: subprocess.Popen, chance: random.Random) -> str:
    """Kill one process of the tree; return what was hit, after nothing of it is left."""
    processes = tree(process)
    stage, victim = at_work(processes), chance.choice(processes)
    name = "dvc" if victim.pid == process.pid else "stage or worker"
    victim.send_signal(signal.SIGKILL)
    told, _ = process.communicate(timeout=60)
    assert "Traceback" not in told
    assert not still_there(processes, PATIENCE), stage
    return f"{stage} ({name})"


def still_there(processes: list[psutil.Process], patience: float) -> list[psutil.Process]:
    """Return what runs after so many seconds; the dead whom nobody has buried do not count."""
    _, left = psutil.wait_procs(processes, timeout=patience)
    return [p for p in left if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.timeout(600 + 60 * KILLS)
def test_a_study_killed_at_random_moments_ends_with_the_same_bits(toy_study, tmp_path):
    study = toy_study.copy(tmp_path / "project")
    expected = outcome(toy_study.folder)
    forget(study.folder)
    chance, hit, whole = random.Random(KILLS), Counter(), 0
    while hit.total() < KILLS:
        process = start(study)
        try:
            told, _ = process.communicate(timeout=chance.uniform(0.5, LONGEST))
        except subprocess.TimeoutExpired:
            hit[kill_one(process, chance)] += 1
            continue
        assert process.returncode == 0, told
        assert outcome(study.folder) == expected
        whole += 1
        forget(study.folder)
    study.run("dvc", "repro", STUDY)
    assert outcome(study.folder) == expected
    assert not list(study.folder.glob("data/toy/checkpoints/*"))
    assert not [f for f in study.folder.rglob("*.unfinished") if ".venv" not in f.parts]
    state, reference = (determined(database_state(s.folder)) for s in (study, toy_study))
    assert {k: r["metrics"] for k, r in state["runs"].items()} == {
        k: r["metrics"] for k, r in reference["runs"].items()
    }
    told = ", ".join(f"{what} {count}" for what, count in sorted(hit.items()))
    print(f"\n{hit.total()} kills in {whole + 1} studies, all with the same bits: {told}")


def _listen_to_ctrl_c() -> None:
    """As in a terminal: a test may itself run where Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def long_study(toy_study, tmp_path):
    """Return a toy study in which `peeky` trains for a long time."""
    study = toy_study.copy(tmp_path / "project")
    study.edit(
        "pipeline/toy/params.yaml",
        "peeky: {task: addition,",
        "peeky: {task: addition, epochs: 20000,",
    )
    return study


@contextlib.contextmanager
def training(study, *command: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """Yield a command under which both seeds of `peeky` train, with what it has told so far."""
    with subprocess.Popen(
        command, cwd=study.folder, env=study.environment(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, preexec_fn=_listen_to_ctrl_c, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            told = ""
            while told.count("epoch 5/") < 2:
                line = process.stdout.readline()
                assert line, told
                told += line
            yield process, told
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def checkpoints(study) -> list[Path]:
    return list(study.folder.glob("data/toy/checkpoints/peeky/seed-*"))


def test_ctrl_c_leaves_checkpoints_and_no_process_within_five_seconds(long_study):
    long_study.run("unroll", "--study", "toy", "size", "addition")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with training(long_study, "unroll", "--study", "toy", "train", "peeky") as (
            process,
            before,
        ):
            processes, sent = tree(process), time.monotonic()
            process.send_signal(number)
            told, _ = process.communicate(timeout=30)
            assert time.monotonic() - sent < 5
            assert process.returncode == code, told
        assert told.endswith("interrupted; the same command goes on from here\n")
        assert "Traceback" not in told
        assert not still_there(processes, 1)
        assert len(checkpoints(long_study)) == 2
        if number == signal.SIGTERM:  # the second time they went on
            assert before.count("goes on from its checkpoint") == 2


def test_a_second_ctrl_c_ends_at_once_what_the_first_does_not(long_study):
    long_study.run("unroll", "--study", "toy", "size", "addition")
    with training(long_study, "unroll", "--study", "toy", "train", "peeky") as (process, _):
        processes = tree(process)
        for worker in processes[1:]:
            worker.suspend()  # so that it cannot do what it is asked
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=30)
        assert time.monotonic() - sent < GRACE / 2
        assert process.returncode == 130, told
    assert "Traceback" not in told
    assert not still_there(processes, 1)


def test_a_second_dvc_repro_is_refused_and_leaves_the_first_alone(long_study):
    with training(long_study, "dvc", "repro", STUDY) as (process, _):
        told = long_study.run("dvc", "repro", STUDY, fails=True)
        assert "is busy, it is being blocked by" in told
        assert process.poll() is None
        processes = tree(process)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
        process.communicate(timeout=30)
    assert not still_there(processes, PATIENCE)
    assert len(checkpoints(long_study)) == 2


def test_two_trainings_of_one_variant_do_not_meet(toy_study, tmp_path):
    study = toy_study.copy(tmp_path / "project")
    folder = study.folder / "data/toy/checkpoints/peeky"
    folder.mkdir(parents=True)
    before = outcome(study.folder)
    with FileLock(folder / "lock"):
        told = study.run("unroll", "--study", "toy", "train", "peeky", fails=True)
    assert told == (
        "error: another process is training peeky (it holds "
        "data/toy/checkpoints/peeky/lock); wait for it\n"
    )
    assert outcome(study.folder) == before
