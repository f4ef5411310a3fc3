import os
from pathlib import Path

import pytest

from models.toys import CPU, pairs_options
from unroll.options import Compute
from unroll.runs.subject import Subject
from unroll.training import executors
from unroll.training.checkpoint import Checkpoint
from unroll.training.executors import (
    Executor,
    Processes,
    Ranks,
    Stacked,
    Torchrun,
    Worker,
    cores,
    executor_of,
)
from unroll.training.machine import Machine
from unroll.training.ranks import ALONE
from unroll.training.run import Job

GPU = Machine("cuda", "bfloat16", threads=1)
UNEVEN = {"with_replacement": True, "padding": "masked"}


def jobs(runs: int, machine: Machine = CPU, **changes) -> list[Job]:
    seeds = list(range(runs))
    options = pairs_options(seeds=seeds, **changes)
    subject = Subject("toy", "tiny", options, "ab" * 32, "cd" * 32, machine.facts())
    here = Path("nowhere")
    return [
        Job(subject, seed, None, machine, here, here, Checkpoint(here, seed, "k", None), "", "")
        for seed in seeds
    ]


@pytest.mark.parametrize(
    ("compute", "machine", "changes", "expected"),
    [
        ({}, CPU, {}, Processes),
        ({}, GPU, {}, Stacked),
        ({}, GPU, UNEVEN, Processes),
        ({"executor": "stacked"}, CPU, {}, Stacked),
        ({"executor": "stacked"}, CPU, UNEVEN, Processes),
        ({"executor": "processes"}, GPU, {}, Processes),
        ({"executor": "ranks"}, CPU, UNEVEN, Ranks),
    ],
)
def test_the_executor_is_the_one_asked_for_or_what_the_machine_is_good_for(
    compute, machine, changes, expected
):
    assert type(executor_of(Compute(**compute), jobs(3, machine, **changes))) is expected


def test_a_gpu_is_shared_by_a_few_processes_alone(monkeypatch):
    monkeypatch.setattr(executors, "cores", lambda: 16)
    assert executor_of(Compute(), jobs(32)).workers == 16
    assert executor_of(Compute(executor="processes"), jobs(32, GPU)).workers == 4
    asked = Compute(executor="processes", workers=9)
    assert executor_of(asked, jobs(32, GPU)).workers == 9


def test_what_torchrun_has_started_is_a_rank_of_it(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(name, value)
    found = executor_of(Compute(), jobs(2))
    assert type(found) is Torchrun
    assert str(found) == "one after another, shared by 3 ranks of torchrun"
    teams = found.teams(jobs(2))
    assert [[(w.rank.number, w.rank.of, w.rank.meeting) for w in team] for team in teams] == [
        [(1, 3, "seed-0")],
        [(1, 3, "seed-1")],
    ]


@pytest.mark.parametrize(
    ("executor", "runs", "compute", "expected"),
    [
        ("processes", 5, {"workers": 3}, 3),
        ("processes", 2, {"workers": 3}, 2),
        ("processes", 1, {}, 1),
        ("processes", 10_000, {}, cores()),
        ("stacked", 4, {}, 1),
        ("stacked", 4, {"workers": 3}, 3),
        ("stacked", 2, {"workers": 3}, 2),
        ("ranks", 1, {"workers": 3}, 3),
        ("ranks", 1, {}, cores()),
    ],
)
def test_there_are_as_many_workers_as_are_asked_for_or_fit(executor, runs, compute, expected):
    assert executor_of(Compute(executor=executor, **compute), jobs(runs)).workers == expected


@pytest.mark.parametrize("executor", ["processes", "ranks"])
def test_workers_with_many_threads_are_fewer(executor):
    of = jobs(10_000, Machine("cpu", "float32", threads=2))
    expected = max(1, cores() // 2)
    assert executor_of(Compute(executor=executor), of).workers == expected
    of = jobs(3, Machine("cpu", "float32", threads=10_000))
    assert executor_of(Compute(executor=executor), of).workers == 1


def seeds(executor: Executor, runs: int) -> list[list[list[int]]]:
    return [[[job.seed for job in w.jobs] for w in team] for team in executor.teams(jobs(runs))]


def test_how_jobs_are_shared_out():
    assert seeds(Processes(2), 3) == [[[0]], [[1]], [[2]]]
    assert seeds(Stacked(1), 3) == [[[0, 1, 2]]]
    assert seeds(Stacked(2), 5) == [[[0, 1]], [[2, 3, 4]]]
    assert seeds(Stacked(9), 2) == [[[0]], [[1]]]
    assert seeds(Ranks(3), 2) == [[[0]] * 3, [[1]] * 3]
    assert (Processes(2).at_once, Stacked(2).at_once, Ranks(2).at_once) == (2, 2, 1)


def test_ranks_of_a_seed_meet_where_no_others_do():
    executor = Ranks(2)
    teams = executor.teams(jobs(2))
    assert [(w.rank.number, w.rank.of) for w in teams[0]] == [(0, 2), (1, 2)]
    (first,), (second,) = ({w.rank.meeting for w in team} for team in teams)
    assert first != second
    folder = Path(first).parent
    assert folder.is_dir()
    del executor
    assert not folder.exists()


def test_others_are_alone():
    (team,) = Stacked(1).teams(jobs(2))
    assert [worker.rank for worker in team] == [ALONE]
    assert Worker(jobs(1)).rank == ALONE


def test_cores_are_those_that_this_process_may_use():
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert cores() == allowed


def test_what_is_said_of_each():
    assert str(Processes(2)) == "2 at a time"
    assert str(Stacked(1)) == "stacked in 1 at a time"
    assert str(Ranks(4)) == "one after another, shared by 4 ranks"
