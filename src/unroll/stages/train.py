"""Stage train: all seeds of a variant, side by side."""

import shutil

from unroll.circumstances import Recorder
from unroll.config import Study
from unroll.data.files import MANIFEST, digest
from unroll.errors import DataError
from unroll.record import seed_folder
from unroll.stages.size import sized
from unroll.subject import Subject
from unroll.tracking.live import LiveTracking
from unroll.training.code import code_digest
from unroll.training.machine import choose
from unroll.training.progress import display
from unroll.training.run import Job
from unroll.training.workers import run_all, worker_count


def train(study: Study, variant: str) -> None:
    """Train a variant; write a run record per seed, and apart what differs each time."""
    jobs = plan(study, variant)
    workers = worker_count(study.compute, len(jobs))
    machine = jobs[0].machine
    print(
        f"{variant}: {len(jobs)} seeds, {workers} at a time, on {machine.device} in "
        f"{machine.precision}",
        flush=True,
    )
    recorder, shown = Recorder(study.command("train", variant)), display(jobs)
    tracking = LiveTracking(study, jobs[0].subject, recorder)
    try:
        run_all(jobs, workers, [shown, recorder, tracking])
    except BaseException:
        tracking.fail()
        raise
    finally:
        shown.close()
    for other in study.model(variant).glob("seed-*"):  # of seeds that are no longer asked for
        if other not in {job.target for job in jobs}:
            shutil.rmtree(other)
    recorder.write(study.circumstances(variant))
    tracking.finish()


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
    return [
        Job(subject, seed, machine, prepared, seed_folder(study.model(variant), seed), remedy)
        for seed in options.seeds
    ]
