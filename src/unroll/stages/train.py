"""Stage train: all seeds of a variant, side by side."""

import contextlib
import shutil
from collections.abc import Sequence

from unroll.circumstances import Recorder
from unroll.config import Study
from unroll.data.files import MANIFEST, digest
from unroll.errors import DataError
from unroll.record import seed_folder
from unroll.stages.checkpoints import held
from unroll.stages.size import sized
from unroll.subject import Subject
from unroll.tracking.live import LiveTracking
from unroll.training.checkpoint import Checkpoint
from unroll.training.code import code_digest
from unroll.training.machine import choose
from unroll.training.progress import display
from unroll.training.run import Job
from unroll.training.workers import run_all, worker_count


def train(study: Study, variant: str) -> None:
    """Train a variant; write a run record per seed, and apart what differs each time.

    Raises:
        UserError: another process trains the same variant.
    """
    jobs = plan(study, variant)
    with held(study, variant):
        _train(study, variant, jobs)


def _train(study: Study, variant: str, jobs: Sequence[Job]) -> None:
    workers = worker_count(study.compute, len(jobs))
    machine = jobs[0].machine
    print(
        f"{variant}: {len(jobs)} seeds, {workers} at a time, on {machine.device} in "
        f"{machine.precision}",
        flush=True,
    )
    for path in (path for job in jobs for path in job.checkpoint.others()):
        print(f"not used: {path} (a checkpoint of other options, data or code)", flush=True)
    recorder = Recorder(study.command("train", variant))
    tracking = LiveTracking(study, jobs[0].subject, recorder)
    try:
        with contextlib.closing(display(jobs)) as shown:
            run_all(jobs, workers, [shown, recorder, tracking])
        _check_records(jobs)
    except BaseException:
        tracking.fail()
        raise
    for other in study.model(variant).glob("seed-*"):  # of seeds that are no longer asked for
        if other not in {job.target for job in jobs}:
            shutil.rmtree(other)
    recorder.write(study.circumstances(variant))
    tracking.finish()


def _check_records(jobs: Sequence[Job]) -> None:
    """Check that each run has left its record: `dvc repro` begins by removing what there is.

    Raises:
        DataError: one is gone; its checkpoint is still there.
    """
    for job in jobs:
        if not (job.target / MANIFEST).is_file():
            raise DataError(f"{job.target} was removed meanwhile; run the same command again")


def plan(study: Study, variant: str) -> list[Job]:
    """Return a job for each seed of a variant.

    Raises:
        DataError: the task's data are not prepared, or the variant's size is not known yet.
    """
    task = study.variant(variant).task
    prepared, remedy = study.prepared(task), study.remedy(f"prepare@{task}")
    if not (prepared / MANIFEST).is_file():
        raise DataError(f"{prepared} does not exist; {remedy}")
    options, machine = sized(study, variant), choose(study.compute)
    subject = Subject(
        study.name, variant, options, digest(prepared), code_digest(), machine.facts()
    )

    def job(seed: int) -> Job:
        every = study.checkpoint.every
        checkpoint = Checkpoint(study.checkpoints(variant), seed, subject.key(seed), every)
        target = seed_folder(study.model(variant), seed)
        return Job(subject, seed, machine, prepared, target, checkpoint, remedy)

    return [job(seed) for seed in options.seeds]
