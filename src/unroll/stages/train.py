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
    options = sized(study, variant)
    machine = choose(study.compute)
    prepared, folder = study.prepared(options.task), study.model(variant)
    remedy = study.remedy(f"prepare@{options.task}")
    if not (prepared / MANIFEST).is_file():
        raise DataError(f"{prepared} does not exist; {remedy}")
    subject = Subject(
        study.name, variant, options, digest(prepared), code_digest(), machine.facts()
    )
    jobs = [
        Job(subject, seed, machine, prepared, seed_folder(folder, seed), remedy)
        for seed in options.seeds
    ]
    workers = worker_count(study.compute, len(jobs))
    print(
        f"{variant}: {len(jobs)} seeds, {workers} at a time, on {machine.device} in "
        f"{machine.precision}",
        flush=True,
    )
    recorder, shown = Recorder(study.command("train", variant)), display(jobs)
    tracking = LiveTracking(study, subject, recorder)
    try:
        run_all(jobs, workers, [shown, recorder, tracking])
    except BaseException:
        tracking.fail()
        raise
    finally:
        shown.close()
    for other in folder.glob("seed-*"):  # of seeds that are no longer asked for
        if other not in {job.target for job in jobs}:
            shutil.rmtree(other)
    recorder.write(study.circumstances(variant))
    tracking.finish()
