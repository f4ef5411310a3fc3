"""A study that is killed again and again ends where an unbroken one ends.

`UNROLL_KILLS=50 pytest -s -n 0 tests/studies/test_killed_anywhere.py` gives the figures of
docs/reliability.md.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import psutil
import pytest

from tracking.states import database_state, determined
from unroll.training.workers import GRACE

pytestmark = [pytest.mark.slow, pytest.mark.long]
long = pytest.mark.long

STUDY = "pipeline/toy/dvc.yaml"
PEEKY = "peeky: {task: addition, decoder: peeky}"
TRAIN = ("unroll", "--study", "toy", "train", "peeky")
KILLS = int(os.environ.get("UNROLL_KILLS", "1"))
SHORT, LONGEST = 0.7, 10.0  # seconds of computing from the beginning of a stage until a kill
PATIENCE = 30.0  # seconds in which what is left must be gone: a worker may be importing PyTorch


def outcome(folder: Path) -> dict[str, bytes]:
    """Return what must be the same, bit for bit: weights, histories, scores, metrics, samples.

    What evaluation has of the circumstances is not: seconds, and the manifest that holds their sum.
    """
    data = folder / "data/toy"
    files = [
        *data.glob("plans/**/*"),
        *data.glob("models/*/seed-*/*"),
        *data.glob("evaluation/*/*.csv"),
        *data.glob("evaluation/*/seed-*/*"),
        *data.glob("generated/**/*"),
        *folder.glob("reports/toy/metrics/*"),
    ]
    kept = [f for f in files if f.is_file() and f.name not in ("epochs.csv", "session.json")]
    return {str(f.relative_to(folder)): f.read_bytes() for f in kept}


def forget(folder: Path) -> None:
    """Remove all that the study has made."""
    for made in ("data/toy", "reports/toy", "mlruns", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(folder / made, ignore_errors=True)
    for made in ("mlflow.db", "pipeline/toy/dvc.lock"):
        (folder / made).unlink(missing_ok=True)


def start(study, output: TextIO | int) -> subprocess.Popen:
    return subprocess.Popen(
        ["dvc", "repro", STUDY],
        cwd=study.folder,
        env=study.environment(),
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def tree(process: subprocess.Popen) -> list[psutil.Process]:
    root = psutil.Process(process.pid)
    return [root, *root.children(recursive=True)]


def must_live(process: psutil.Process) -> bool:
    """Say whether the study cannot go on without a process: DVC, a stage or a worker."""
    with contextlib.suppress(psutil.NoSuchProcess):
        words = process.cmdline()
        return any(word in words for word in ("repro", "--study", "--multiprocessing-fork"))
    return False


def at_work(process: subprocess.Popen) -> str:
    """Return the stage that runs, `train peeky`, or nothing between two of them."""
    with contextlib.suppress(psutil.Error):
        for one in tree(process):
            words = one.cmdline()
            if "--study" in words:
                return " ".join(words[words.index("--study") + 2 :])
    return ""


def wait_for_stage(process: subprocess.Popen, number: int, seconds: float) -> None:
    """Wait until a stage has computed so long, the first, second, … of those that are to run.

    Not by a clock: on a busy machine each kill would come before anything was done.
    """
    seen: set[str] = set()
    while process.poll() is None and len(seen) < number:
        seen |= {at_work(process)} - {""}
        time.sleep(0.02)
    until = computed(process) + seconds
    while process.poll() is None and computed(process) < until:
        time.sleep(0.02)


def computed(process: subprocess.Popen) -> float:
    """Return the seconds that the processes of a tree have computed, the ended ones too."""
    seconds = 0.0
    with contextlib.suppress(psutil.Error):
        for one in tree(process):
            with contextlib.suppress(psutil.Error):  # it has just ended
                seconds += sum(one.cpu_times()[:4])
    return seconds


def kill_one(process: subprocess.Popen, chance: random.Random) -> str:
    """Kill one process of the tree; return what was hit.

    Nothing of the tree is left then, also of what was started after the look at it.
    """
    stage = at_work(process).partition(" ")[0] or "between stages"
    processes = [p for p in tree(process) if must_live(p)]
    victim = chance.choice(processes or tree(process))
    with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
        victim.send_signal(signal.SIGKILL)
    left = still_there([*processes, *of_session(process.pid)], PATIENCE)
    assert not left and not still_there(of_session(process.pid), PATIENCE), (stage, left)
    process.wait()
    return f"{stage} ({'dvc' if victim.pid == process.pid else 'stage or worker'})"


def mend_run_cache(folder: Path) -> bool:
    """Do what docs/reliability.md says of a DVC that was killed while it noted a stage."""
    left = list((folder / ".dvc/cache/runs").rglob(".*.tmp"))
    for path in left:
        path.unlink()
    return bool(left)


def of_session(leader: int) -> list[psutil.Process]:
    """Return the processes of a session: all that a command has started, whoever is dead."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == leader:
                found.append(process)
    return found


def still_there(processes: list[psutil.Process], patience: float) -> list[psutil.Process]:
    """Return what runs after so many seconds; the dead whom nobody has buried do not count."""
    until = time.monotonic() + patience
    while (left := [p for p in processes if alive(p)]) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.fixture(scope="module")
def busy_study(toy_study, tmp_path_factory):
    """Return a toy study in which `peeky` trains for seconds, and is soon saved again."""
    study = toy_study.copy(tmp_path_factory.mktemp("busy") / "project")
    params = study.folder / "pipeline/toy/params.yaml"
    params.write_text(params.read_text() + "checkpoint: {every: 2}\n")
    study.edit("pipeline/toy/params.yaml", PEEKY, PEEKY.replace("}", ", epochs: 200}"))
    study.run("dvc", "repro", f"{STUDY}:track")
    return study


@long
@pytest.mark.timeout(600 + 60 * KILLS)
def test_a_study_killed_at_random_moments_ends_with_the_same_bits(busy_study, tmp_path):
    study = busy_study.copy(tmp_path / "project")
    expected = outcome(busy_study.folder)
    forget(study.folder)
    chance, hit, whole = random.Random(KILLS), Counter(), 0
    output = (tmp_path / "told").open("w+")
    while hit.total() < KILLS:
        process = start(study, output)
        # Half of the kills soon: the short stages are over after that.
        seconds = chance.uniform(0, chance.choice((SHORT, LONGEST)))
        wait_for_stage(process, chance.randint(1, 2), seconds)
        if process.poll() is None:
            hit[kill_one(process, chance)] += 1
            print(hit.total(), end=" ", flush=True)
            continue
        if process.returncode and mend_run_cache(study.folder):
            continue
        assert process.returncode == 0, (tmp_path / "told").read_text()
        assert outcome(study.folder) == expected
        whole += 1
        forget(study.folder)
    mend_run_cache(study.folder)
    study.run("dvc", "repro", STUDY)
    assert outcome(study.folder) == expected
    assert not list(study.folder.glob("data/toy/checkpoints/*"))
    left = [*study.folder.rglob("*.unfinished"), *study.folder.rglob("*.earlier")]
    assert not [path for path in left if ".venv" not in path.parts]
    runs, reference = (determined(database_state(s.folder))["runs"] for s in (study, busy_study))
    assert len(runs) == 8  # the other study holds those of other epochs too
    assert all(run["metrics"] == reference[key]["metrics"] for key, run in runs.items())
    with output:
        output.seek(0)
        told = output.read()
    resumed = told.count("goes on from its checkpoint")
    kinds = ", ".join(f"{what} {count}" for what, count in sorted(hit.items()))
    print(
        f"\n{hit.total()} kills in {whole + 1} studies, all with the same bits: {kinds}; "
        f"{resumed} trainings went on from a checkpoint"
    )
    assert "Traceback" not in told
    assert resumed or KILLS < 20  # by chance: some kills are within a training


def _listen_to_ctrl_c() -> None:
    """As in a terminal: a test may itself run where Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def long_study(toy_study, tmp_path):
    """Return a toy study in which `peeky` is to train for a long time."""
    study = toy_study.copy(tmp_path / "project")
    study.edit("pipeline/toy/params.yaml", PEEKY, PEEKY.replace("}", ", epochs: 20000}"))
    return study


@contextlib.contextmanager
def training(
    study, *command: str, until: str = r"seed {} +epoch \d", env: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen, str]]:
    """Yield a command that has told of both seeds of `peeky`, with what it has told so far."""
    with subprocess.Popen(
        command, cwd=study.folder, env=study.environment(env), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, preexec_fn=_listen_to_ctrl_c, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            told = ""
            while not all(re.search(until.format(seed), told) for seed in (0, 1)):
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
    signals = ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129))
    for time_, (number, code) in enumerate(signals):
        with training(long_study, *TRAIN) as (process, before):
            told = ended(process, number, 5)
        assert process.returncode == code, told
        assert told.endswith("interrupted; the same command goes on from here\n")
        assert len(checkpoints(long_study)) == 2
        assert before.count("goes on from its checkpoint") == (2 if time_ else 0)


def ended(process: subprocess.Popen, number: int, seconds: float) -> str:
    """Send a signal to a command and all it has started; return what it told until it ended."""
    sent = time.monotonic()
    os.killpg(process.pid, number)  # as a terminal does, or `timeout`
    told, _ = process.communicate(timeout=30)
    assert time.monotonic() - sent < seconds
    assert "Traceback" not in told
    assert not still_there(of_session(process.pid), 1)
    return told


@long
def test_ctrl_c_while_the_workers_begin_ends_them_without_a_word(long_study):
    with training(long_study, *TRAIN, until="2 seeds, 2 at a time") as (process, _):
        time.sleep(0.3)
        ended(process, signal.SIGINT, 5)
    assert process.returncode == 130


@long
@pytest.mark.parametrize("again", [False, True])
def test_workers_that_do_not_end_are_killed_and_at_once_by_a_second_ctrl_c(long_study, again):
    with training(long_study, *TRAIN) as (process, _):
        for worker in tree(process)[1:]:
            if "--multiprocessing-fork" in worker.cmdline():
                worker.suspend()  # so that it cannot do what it is asked
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        if again:
            time.sleep(0.5)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=30)
        seconds = time.monotonic() - sent
    assert process.returncode == 130, told
    assert seconds < GRACE if again else GRACE < seconds < 5
    assert "Traceback" not in told
    assert not still_there(of_session(process.pid), 1)


@long
def test_a_stage_ends_with_its_dvc_also_where_that_is_killed(long_study):
    sh = {"SHELL": "/bin/sh"}  # it may stay between the two, other than bash
    with training(long_study, "dvc", "repro", STUDY, env=sh) as (process, _):
        process.kill()
        process.wait()
        assert not still_there(of_session(process.pid), PATIENCE)
        assert len(checkpoints(long_study)) == 2
        assert "Traceback" not in process.stdout.read()


@long
def test_a_stage_that_has_hardly_begun_ends_with_its_dvc(long_study):
    with start(long_study, subprocess.DEVNULL) as process:
        while not at_work(process).startswith("train"):
            assert process.poll() is None
        process.kill()
    assert not still_there(of_session(process.pid), 10)


def test_a_second_dvc_repro_is_refused_and_leaves_the_first_alone(long_study):
    with training(long_study, "dvc", "repro", STUDY) as (process, _):
        told = long_study.run("dvc", "repro", STUDY, fails=True)
        assert "is busy, it is being blocked by" in told
        told = long_study.run(*TRAIN, fails=True)
        assert told == (
            "error: another process is training peeky (it holds "
            "data/toy/checkpoints/peeky/lock); wait for it\n"
        )
        assert process.poll() is None
        ended(process, signal.SIGTERM, 5)
    assert len(checkpoints(long_study)) == 2


@long
def test_a_training_whose_records_are_removed_meanwhile_keeps_its_checkpoints(long_study):
    """As `dvc repro` beside a training that was started by hand does: it begins by removing."""
    long_study.edit("pipeline/toy/params.yaml", "epochs: 20000}", "epochs: 20}")
    long_study.edit("pipeline/toy/params.yaml", "workers: 2", "workers: 1")
    first = long_study.folder / "data/toy/models/peeky/seed-0"
    shutil.rmtree(first.parent)
    with training(long_study, *TRAIN, until="seed 1 +epoch 1/") as (process, _):
        shutil.rmtree(first)
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "seed-0 was removed meanwhile; run the same command again" in told
    assert len(checkpoints(long_study)) == 2
    told = long_study.run(*TRAIN)  # the other seed has left its record
    assert "peeky seed 1: kept, it was trained already" in told
    assert told.count("goes on from its checkpoint: after epoch 20/20") == 1


@long
def test_other_options_begin_anew_and_the_earlier_ones_go_on_when_they_are_back(long_study):
    with training(long_study, *TRAIN) as (process, _):
        ended(process, signal.SIGINT, 5)
    kept = checkpoints(long_study)
    params, more = "pipeline/toy/params.yaml", "epochs: 3, dropout: 0.5}"
    long_study.edit(params, "epochs: 20000}", more)
    told = long_study.run(*TRAIN)
    assert "goes on from" not in told
    for path in kept:
        name = path.relative_to(long_study.folder)
        assert f"not used: {name} (a checkpoint of another behaviour or other data)" in told
    for env, left in ((None, 4), ({"DVC_STAGE": "evaluate@peeky"}, 2)):  # by hand, and by DVC
        long_study.run("unroll", "--study", "toy", "evaluate", "peeky", env=env)
        assert len(checkpoints(long_study)) == left
    assert sorted(checkpoints(long_study)) == sorted(kept)
    long_study.edit(params, more, "epochs: 20000}")
    with training(long_study, *TRAIN, until=r"seed {} +goes on from") as (process, _):
        ended(process, signal.SIGINT, 5)
    assert sorted(checkpoints(long_study)) == sorted(kept)


@long
def test_a_cache_that_cannot_be_written_costs_no_training(long_study):
    long_study.edit("pipeline/toy/params.yaml", "epochs: 20000}", "epochs: 200}")
    cache = long_study.folder / ".dvc/cache/files"
    with training(long_study, "dvc", "repro", STUDY) as (process, _):
        cache.rename(cache.with_name("elsewhere"))
        cache.write_text("in the way")
        told, _ = process.communicate(timeout=120)
    assert process.returncode
    assert "Not a directory" in told
    assert "Traceback" not in told
    assert len(checkpoints(long_study)) == 2
    cache.unlink()
    cache.with_name("elsewhere").rename(cache)
    told = long_study.run("dvc", "repro", f"{STUDY}:evaluate@peeky")
    assert told.count("goes on from its checkpoint: after epoch 200/200") == 2
    assert not checkpoints(long_study)
