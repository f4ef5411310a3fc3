"""Runs: a variant with a seed, or with several at once, from prepared data to run records."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from unroll.errors import TrainingError, out_of_memory, remedy
from unroll.kinds import kind_of
from unroll.models.budget import count_parameters
from unroll.models.initialise import initialise
from unroll.options import VariantOptions
from unroll.runs.model import TrainedModel, write_model
from unroll.runs.record import Record
from unroll.runs.subject import Subject
from unroll.storage.folders import digest
from unroll.tasks.task import Task
from unroll.training.checkpoint import Checkpoint
from unroll.training.interruption import Interruption
from unroll.training.loop import Report, Seat, Training
from unroll.training.machine import Machine
from unroll.training.objective import Objective
from unroll.training.ranks import ALONE, Alone
from unroll.training.sources import sources_digest


@dataclass(frozen=True)
class Job:
    """What a worker needs to know of a run."""

    subject: Subject
    seed: int
    task: Task[Any]
    machine: Machine
    prepared: Path
    target: Path
    checkpoint: Checkpoint
    sources: str  # the digest of the sources when the stage began
    remedy: str  # what to do where the prepared data are missing or damaged


def run(
    jobs: Sequence[Job],
    reports: Sequence[Report],
    interruption: Interruption | None = None,
    rank: Alone = ALONE,
) -> None:
    """Train the models of some seeds of a variant, each from its checkpoint if it has one.

    Several are trained as one program, in halves where there is not the memory for all; or one by
    several ranks, of which this process is one. Each seed leaves its record.

    Raises:
        DataError: the data cannot be read.
        TrainingError: code or data are no longer those of the jobs, or training failed.
        Interrupted: the run was asked to end; each seed has left a checkpoint.
    """
    try:
        _run(jobs, reports, interruption, rank)
        return
    except RuntimeError as error:
        if len(jobs) == 1 or not out_of_memory(error):
            raise
    gc.collect()  # not in the block above: what is caught there holds the memory
    torch.cuda.empty_cache()
    half = len(jobs) // 2
    for part in (slice(half), slice(half, None)):
        run(jobs[part], reports[part], interruption, rank)


def _run(
    jobs: Sequence[Job],
    reports: Sequence[Report],
    interruption: Interruption | None,
    rank: Alone,
) -> None:
    first = jobs[0]
    first.machine.prepare_process()
    options, machine = first.subject.options, first.machine
    kind = kind_of(options)
    with remedy(first.remedy):
        data = kind.load(first.prepared)
    _check_unchanged(first)
    seats = [
        Seat(
            Training(begin(options, data, job.seed, machine), options),
            report,
            rank.checkpoint(job.checkpoint),
        )
        for job, report in zip(jobs, reports, strict=True)
    ]
    rank.train(seats, interruption or rank.interruption())
    if rank.number > 0:
        return
    for job, seat in zip(jobs, seats, strict=True):
        model, history = seat.training.objective.model, pd.DataFrame(seat.training.rows())
        size, environment = count_parameters(model), machine.environment()
        record = Record(job.subject, job.seed, job.task, size, environment, history)
        write_model(job.target, TrainedModel(record, kind.form(data), model))


def begin(
    options: VariantOptions,
    data: Any,
    seed: int,
    machine: Machine,
    dtype: torch.dtype = torch.float32,
) -> Objective:
    """Return what a training minimises, its model with the first weights.

    Plans begin in the same way, but in float64 (plans/training.py).
    """
    kind = kind_of(options)
    model = kind.build(options, kind.form(data)).to(dtype)
    initialise(model, options.init, seed)
    model.to(machine.device)
    return kind.objective(model, data, options, seed, machine)


def _check_unchanged(job: Job) -> None:
    """Check that code and data are those by which the run is named: a seed may begin hours later.

    Raises:
        TrainingError: they have been changed since the stage began.
    """
    changed = {
        "the code in src/unroll": sources_digest() != job.sources,
        str(job.prepared): digest(job.prepared) != job.subject.data_digest,
    }
    if what := [name for name, differs in changed.items() if differs]:
        raise TrainingError(
            f"{what[0]} was changed while the stage ran; run the same command again"
        )
