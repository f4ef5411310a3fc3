"""Executors: which processes train the seeds of a variant (`compute.executor`)."""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from unroll.errors import UserError
from unroll.options import Compute
from unroll.training.machine import Machine
from unroll.training.ranks import ALONE, Alone, Rank, TorchrunRank, by_torchrun
from unroll.training.run import Job

ON_GPU = 4  # processes that share a GPU


@dataclass(frozen=True)
class Worker:
    """What a worker process is to do: train the seeds of some jobs of one variant."""

    jobs: Sequence[Job]
    rank: Alone = ALONE


Team = Sequence[Worker]  # started together; none can go on without the others


class Executor(ABC):
    """Shares jobs out among worker processes."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.at_once = workers  # teams

    @staticmethod
    def automatic(machine: Machine) -> int:
        """Return how many workers there are where nothing is said: as many as the cores hold.

        On a GPU no more than a few: each has a context of its own there, and they take turns.
        """
        most = ON_GPU if machine.device == "cuda" else math.inf
        return int(max(1, min(cores() // machine.threads, most)))

    @staticmethod
    def fitting(workers: int, runs: int) -> int:
        """Return how many of the workers that are asked for have something to do."""
        return min(workers, runs)

    @abstractmethod
    def teams(self, jobs: Sequence[Job]) -> list[Team]:
        """Return the teams of workers that do these jobs."""

    @abstractmethod
    def __str__(self) -> str: ...


class Processes(Executor):
    """Each seed has a process of its own."""

    def teams(self, jobs: Sequence[Job]) -> list[Team]:
        """Return a worker for each job."""
        return [[Worker([job])] for job in jobs]

    def __str__(self) -> str:
        return f"{self.workers} at a time"


class Stacked(Executor):
    """A worker trains all its seeds as one program (training/stacked.py)."""

    @staticmethod
    def automatic(machine: Machine) -> int:
        """Return one: it trains all seeds."""
        return 1

    def teams(self, jobs: Sequence[Job]) -> list[Team]:
        """Return as few workers as are asked for."""
        parts = min(self.workers, len(jobs))
        cuts = [len(jobs) * i // parts for i in range(parts + 1)]
        return [[Worker(jobs[i:j])] for i, j in pairwise(cuts)]

    def __str__(self) -> str:
        return f"stacked in {self.workers} at a time"


class Ranks(Executor):
    """Several workers share a seed, each of which has its rows of every batch (training/ranks.py).

    Seeds are trained one after another.
    """

    @staticmethod
    def automatic(machine: Machine) -> int:
        """Return as many as there are GPUs, or as the cores hold."""
        if machine.device == "cuda":
            return torch.cuda.device_count()
        return Executor.automatic(machine)

    @staticmethod
    def fitting(workers: int, runs: int) -> int:
        """Return all: they share each run."""
        return workers

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.at_once = 1
        self.meetings = TemporaryDirectory(prefix="unroll-")  # gone with this object

    def teams(self, jobs: Sequence[Job]) -> list[Team]:
        """Return the ranks of each job."""
        return [self._team(job) for job in jobs]

    def _team(self, job: Job) -> Team:
        meeting = str(Path(self.meetings.name) / f"seed-{job.seed}")
        return [Worker([job], Rank(i, self.workers, meeting)) for i in range(self.workers)]

    def __str__(self) -> str:
        return f"one after another, shared by {self.workers} ranks"


class Torchrun(Executor):
    """This process is a rank that torchrun has started, and has a worker for each seed."""

    def teams(self, jobs: Sequence[Job]) -> list[Team]:
        """Return this rank of each job."""
        return [[Worker([job], TorchrunRank.here(f"seed-{job.seed}"))] for job in jobs]

    def __str__(self) -> str:
        return f"one after another, shared by {TorchrunRank.here('').of} ranks of torchrun"


EXECUTORS: dict[str, type[Executor]] = {
    "processes": Processes,
    "stacked": Stacked,
    "ranks": Ranks,
}


def executor_of(compute: Compute, jobs: Sequence[Job]) -> Executor:
    """Return what does jobs of a variant.

    A seed alone fills no GPU: there all seeds of a variant are one program, unless something else
    is asked for. Those whose batches differ in shape cannot be.

    Raises:
        UserError: the device is none that ranks can share.
    """
    if by_torchrun():
        return Torchrun(1)
    name, machine = compute.executor, jobs[0].machine
    if name == "auto":
        name = "stacked" if machine.device == "cuda" else "processes"
    if name == "stacked" and not jobs[0].subject.options.even:
        name = "processes"
    if name == "ranks" and machine.device == "mps":
        raise UserError("compute.executor: ranks share no mps; choose device: cpu, or processes")
    chosen, workers, runs = EXECUTORS[name], compute.workers, len(jobs)
    if workers == "auto":
        workers = chosen.automatic(machine)
    return chosen(chosen.fitting(workers, runs))


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
