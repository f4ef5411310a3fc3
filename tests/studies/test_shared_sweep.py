"""Processes that share a sweep, of which one is killed in the middle of a trial."""

import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from conftest import Checkout
from postgres import postgres_address
from sweeps.conftest import PARAMS, prepared

__all__ = ["postgres_address", "prepared"]

pytestmark = [pytest.mark.slow, pytest.mark.long]

TRIALS = 50
SPACE = f"""\
variant: plain
trials: {TRIALS}
prune_after: 5
fixed: {{epochs: 20}}
space:
  learning_rate: {{low: 0.001, high: 0.1, log: true}}
  hidden_size: {{low: 4, high: 16, step: 4}}
  cell: [lstm, gru]
"""
PATIENCE = 900.0


class Sweeper:
    """A process that sweeps."""

    def __init__(self, project: Checkout, address: str, name: str) -> None:
        self.output = project.folder / f"{name}.txt"
        command = [sys.executable, "-c", "from unroll.cli import main; main()", "sweep"]
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [*command, "space.yaml", "--storage", address],
                cwd=project.folder,
                env=project.environment(),
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @property
    def told(self) -> list[int]:
        """The trials that it has told to have ended."""
        return [int(n) for n in re.findall(r"^trial (\d+)  ", self.output.read_text(), re.M)]

    def send(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def wait(self) -> None:
        assert self.process.wait(PATIENCE) == 0, self.output.read_text()


@pytest.fixture
def project(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    shutil.copytree(prepared, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    Path("params.yaml").write_text(PARAMS)
    Path("space.yaml").write_text(SPACE)
    return Checkout(tmp_path / "project")


@pytest.fixture
def start(project: Checkout, postgres_address: str) -> Iterator[Callable[[str], Sweeper]]:
    """Return what starts a process that sweeps; none is left behind."""
    begun: list[Sweeper] = []

    def one(name: str) -> Sweeper:
        begun.append(Sweeper(project, postgres_address, name))
        return begun[-1]

    yield one
    for sweeper in begun:
        sweeper.process.kill()
        sweeper.process.wait()


def trials(address: str) -> list[optuna.trial.FrozenTrial]:
    url = address.replace("postgresql:", "postgresql+psycopg:")
    [name] = optuna.get_all_study_names(url)
    return optuna.load_study(study_name=name, storage=url).trials


def under_way(address: str) -> set[int]:
    """The trials of which an epoch has ended: their options have been drawn."""
    of_state = [t for t in trials(address) if t.state == TrialState.RUNNING]
    return {t.number for t in of_state if t.intermediate_values}


def until(seconds: float) -> Iterator[None]:
    """Yield now and then, for so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.2)


def stop_within_a_trial(victim: Sweeper, other: Sweeper, address: str) -> int:
    """Stop a process in the middle of a trial; return the number of that.

    Where it was stopped elsewhere, holding what others wait for, it goes on and is stopped again.
    """
    for _ in until(PATIENCE):
        victim.send(signal.SIGSTOP)
        before, told = under_way(address), len(other.told)
        for _ in until(20):
            if len(other.told) >= told + 2:  # all that the other had then has ended
                break
        stays = before & under_way(address)
        if len(stays) == 1 and len(other.told) >= told + 2:
            return stays.pop()
        victim.send(signal.SIGCONT)
        time.sleep(0.5)
    raise AssertionError("it is never within a trial")


@pytest.mark.timeout(2400)
def test_of_fifty_trials_none_is_lost_and_none_is_done_twice(project, postgres_address, start):
    victim, other = start("victim"), start("other")
    for _ in until(PATIENCE):
        if len(victim.told) >= 3 and len(other.told) >= 3:
            break
    broken_off = stop_within_a_trial(victim, other, postgres_address)
    drawn = trials(postgres_address)[broken_off].params
    victim.send(signal.SIGKILL)
    victim.process.wait()
    third = start("third")
    other.wait()
    third.wait()

    found = trials(postgres_address)
    assert [trial.number for trial in found] == list(range(TRIALS))
    assert all(trial.state.is_finished() for trial in found)
    assert found[broken_off].params == drawn
    told = collections.Counter([*victim.told, *other.told, *third.told])
    assert told == dict.fromkeys(range(TRIALS), 1)
    assert broken_off not in victim.told
    assert len(third.told) > 0
    # All who are there at the end tell the same.
    ends = {one.output.read_text().partition("\n\n")[2] for one in (other, third)}
    assert len(ends) == 1
    check_mlflow(found)


def check_mlflow(found: list[optuna.trial.FrozenTrial]) -> None:
    client = MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")
    experiment = client.get_experiment_by_name("sums.sweeps").experiment_id
    runs = client.search_runs([experiment], max_results=1000)
    [parent] = [run for run in runs if run.data.tags["unroll.level"] == "sweep"]
    below = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert (len(below), len(runs)) == (TRIALS, TRIALS + 1)
    assert parent.info.status == "FINISHED"
    held = {
        int(run.data.tags["unroll.key"].rpartition("-")[2]): run.data.metrics.get("value")
        for run in below
    }
    assert held == {trial.number: trial.value for trial in found}
