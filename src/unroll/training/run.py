"""One run: a variant with one seed, from prepared data to a run record."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from unroll.config import CorpusOptions, PairsOptions
from unroll.data.files import digest
from unroll.data.loading import load
from unroll.errors import DataError
from unroll.models.build import build, count_parameters
from unroll.models.initialise import initialise
from unroll.models.layers import set_generator
from unroll.record import Record, write_record
from unroll.seeds import torch_generator
from unroll.subject import Subject
from unroll.training.checkpoint import Checkpoint
from unroll.training.code import code_digest
from unroll.training.interruption import Interruption
from unroll.training.loop import Report, train
from unroll.training.machine import Machine
from unroll.training.objectives import CorpusObjective, Objective, PairsObjective


@dataclass(frozen=True)
class Job:
    """What a worker needs to know of a run."""

    subject: Subject
    seed: int
    machine: Machine
    prepared: Path
    target: Path
    checkpoint: Checkpoint
    remedy: str  # what to do where the prepared data are missing or damaged


def run(job: Job, report: Report, interruption: Interruption | None = None) -> None:
    """Train the model of a job, from its checkpoint if it has one; write its record.

    Raises:
        DataError: code or data are no longer those of the job, or training failed.
        Interrupted: the run was asked to end; it has left a checkpoint.
    """
    job.machine.prepare_process()
    options, seed, machine = job.subject.options, job.seed, job.machine
    data = load(options.kind, job.prepared, job.remedy)
    _check_unchanged(job)
    model = build(options, data.vocabulary)
    initialise(model, options.init, seed)
    model.to(machine.device)
    dropout = torch_generator(seed, "dropout", device=machine.device)
    set_generator(model, dropout)
    objective: Objective
    if isinstance(options, PairsOptions):
        objective = PairsObjective(model, data, options, seed, machine)  # type: ignore[arg-type]
    else:
        assert isinstance(options, CorpusOptions)
        objective = CorpusObjective(model, data, options, machine)  # type: ignore[arg-type]
    generators = {"dropout": dropout}
    rows = train(objective, options, report, job.checkpoint, generators, interruption)
    history = pd.DataFrame(rows)
    record = Record(job.subject, seed, count_parameters(model), data.form, data.vocabulary, history)
    write_record(job.target, record, model)


def _check_unchanged(job: Job) -> None:
    """Check that code and data are those by which the run is named: a seed may begin hours later.

    Raises:
        DataError: they have been changed since the stage began.
    """
    changed = {
        "the code in src/unroll": code_digest() != job.subject.code_digest,
        str(job.prepared): digest(job.prepared) != job.subject.data_digest,
    }
    if what := [name for name, differs in changed.items() if differs]:
        raise DataError(f"{what[0]} was changed while the stage ran; run the same command again")
