"""Stage train: all seeds of a variant, side by side."""

import shutil

import pandas as pd

from unroll.config import Study
from unroll.data.files import MANIFEST, digest, write_text
from unroll.errors import DataError
from unroll.record import seed_folder
from unroll.tracking.live import LiveTracking
from unroll.tracking.subject import Subject
from unroll.training.loop import Epoch, Step
from unroll.training.machine import choose
from unroll.training.progress import display
from unroll.training.run import Job
from unroll.training.workers import Done, run_all, worker_count


class Timings:
    """Seconds per epoch of every seed. They differ each time, so they are kept apart."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def __call__(self, job: Job, message: Step | Epoch | Done) -> None:
        """Take the seconds of an epoch."""
        if isinstance(message, Epoch):
            times = {"train_seconds": message.train_seconds, "valid_seconds": message.valid_seconds}
            self.rows.append({"seed": job.seed, "epoch": message.epoch, **times})

    def csv(self) -> str:
        """Return the table, sorted by seed and epoch."""
        table = pd.DataFrame(self.rows).sort_values(["seed", "epoch"])
        return table.to_csv(index=False, float_format="%.3f", lineterminator="\n")


def train(study: Study, variant: str) -> None:
    """Train a variant; write a run record per seed, and the seconds that epochs took."""
    options = study.variant(variant)
    machine = choose(study.compute)
    prepared, folder = study.prepared(options.task), study.model(variant)
    remedy = study.remedy(f"prepare@{options.task}")
    if not (prepared / MANIFEST).is_file():
        raise DataError(f"{prepared} does not exist; {remedy}")
    jobs = [
        Job(
            study.name,
            variant,
            seed,
            study.tasks[options.task].kind,
            options,
            machine,
            prepared,
            seed_folder(folder, seed),
            remedy,
        )
        for seed in options.seeds
    ]
    workers = worker_count(study.compute, len(jobs))
    print(
        f"{variant}: {len(jobs)} seeds, {workers} at a time, on {machine.device} in "
        f"{machine.precision}",
        flush=True,
    )
    timings, shown = Timings(), display(jobs)
    subject = Subject(study.name, options.task, variant, options, digest(prepared))
    tracking = LiveTracking(subject, machine.facts())
    try:
        run_all(jobs, workers, [shown, timings, tracking])
    finally:
        shown.close()
    for other in folder.glob("seed-*"):  # of seeds that are no longer asked for
        if other not in {job.target for job in jobs}:
            shutil.rmtree(other)
    write_text(study.timings(variant), timings.csv())
    tracking.finish({job.seed: job.target for job in jobs}, remedy)
