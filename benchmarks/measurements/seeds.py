"""What seeds cost: a process each, as many side by side as there are cores, or stacked.

The seconds are those of a whole training of so many seeds at the book's setting of addition, on few
questions, from the start of the first process to the end of the last; a process imports PyTorch
first, in every case. The memory is that of all processes that are there at the same time.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from results import Found, Grown
from turns import Turns
from unroll.kinds import kind_of
from unroll.options import Checkpointing, Compute, PairsOptions
from unroll.runs.subject import Subject
from unroll.storage.folders import digest
from unroll.tasks.addition import Addition, AdditionOptions
from unroll.training.checkpoint import Checkpoint
from unroll.training.executors import executor_of
from unroll.training.machine import choose
from unroll.training.run import Job
from unroll.training.sources import sources_digest
from unroll.training.workers import Done, Progress, run_all

WAYS = ("processes", "stacked")


def measure(turns: Turns, data: Any, options: Any, seeds: Sequence[int]) -> Iterator[Found]:
    """Yield the seconds and the megabytes of trainings of so many seeds, in both ways."""
    task = Addition(AdditionOptions.model_validate(data))
    chosen = PairsOptions.model_validate({"task": "addition", "seeds": [0], **options})
    found: dict[str, dict[str, dict[float, list[float]]]] = {
        way: {unit: {count: [] for count in seeds} for unit in ("s", "MB")} for way in WAYS
    }
    for number in range(turns.rounds):
        for count in seeds:
            for way in WAYS:
                seconds, megabytes = train(task, chosen, count, way)
                found[way]["s"][count].append(seconds)
                found[way]["MB"][count].append(megabytes)
        print(f"  round {number + 1} of {turns.rounds}", flush=True)
    for way, of in found.items():
        yield Grown(f"a training, {way}", "seeds", "s", of["s"])
        yield Grown(f"memory of a training, {way}", "seeds", "MB", of["MB"])


def train(task: Addition, options: PairsOptions, count: int, way: str) -> tuple[float, float]:
    """Train so many seeds; return the seconds, and the megabytes of all processes at a time."""
    peaks: list[int] = []

    def listen(job: Job, message: Progress) -> None:
        if isinstance(message, Done):
            peaks.append(message.peak_memory)

    with tempfile.TemporaryDirectory() as name:
        jobs = jobs_of(Path(name), task, options, count)
        executor = executor_of(Compute.model_validate({"executor": way}), jobs)
        started = time.perf_counter()
        run_all(jobs, executor, [listen])
        seconds = time.perf_counter() - started
    # Where seeds are stacked each of them tells the peak of their one process.
    return seconds, sum(sorted(peaks)[-executor.workers :]) / 1e6


def jobs_of(folder: Path, task: Addition, options: PairsOptions, count: int) -> list[Job]:
    """Return a job for each of so many seeds, its data prepared in the folder."""
    prepared, machine = folder / "prepared", choose(Compute(device="cpu"))
    kind_of(options).save(task.prepare(), prepared)
    subject = Subject("measured", "measured", options, digest(prepared), "", machine.facts())

    def job(seed: int) -> Job:
        every, sources = Checkpointing().every, sources_digest()
        checkpoint = Checkpoint(folder, seed, subject.key(seed), every)
        target = folder / str(seed)
        return Job(subject, seed, task, machine, prepared, target, checkpoint, sources, "")

    return [job(seed) for seed in range(count)]
