"""Seconds per epoch at the book's addition setting: training, and scoring 5,000 questions.

    python benchmarks/addition_epoch.py                      one seed, the root study's baseline
    python benchmarks/addition_epoch.py --precision float32
    python benchmarks/addition_epoch.py --seeds 2            two seeds side by side

Run it on an otherwise idle machine, in the project's root folder. The first epoch warms
up and does not count; the figures are medians over the others.
"""

import tempfile
from dataclasses import asdict
from pathlib import Path

import click
import pandas as pd

from unroll import config
from unroll.runs.circumstances import Recorder
from unroll.storage.files import digest
from unroll.data.pairs import save_pairs
from unroll.runs.subject import Subject
from unroll.training.checkpoint import Checkpoint
from unroll.training.machine import Machine, choose
from unroll.training.run import Job
from unroll.training.workers import run_all


@click.command(help=__doc__)
@click.option("--variant", default="baseline", show_default=True)
@click.option("--precision", default="auto", type=click.Choice(["auto", "float32", "bfloat16"]))
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--epochs", default=8, show_default=True, type=click.IntRange(min=2))
def main(variant: str, precision: str, seeds: int, epochs: int) -> None:
    study = config.load()
    task = study.task(study.variant(variant).task)
    options = study.variant(variant).model_copy(update={"epochs": epochs})
    machine = choose(study.compute.model_copy(update={"precision": precision}))
    recorder = Recorder("benchmark")
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared"
        save_pairs(task.module.prepare(task.data), prepared)
        subject = Subject("root", variant, options, digest(prepared), "", machine.facts())
        jobs = [_job(subject, seed, machine, prepared, Path(folder)) for seed in range(seeds)]
        run_all(jobs, workers=seeds, listeners=[recorder])
    table = pd.DataFrame(asdict(row) for row in recorder.epochs).query("epoch > 1")
    train, valid = table["train_seconds"].median(), table["valid_seconds"].median()
    print(
        f"{variant}, {machine.precision}, {seeds} side by side: "
        f"{train:.2f} s training + {valid:.2f} s scoring = {train + valid:.2f} s an epoch"
    )


def _job(subject: Subject, seed: int, machine: Machine, prepared: Path, folder: Path) -> Job:
    checkpoint = Checkpoint(folder, seed, subject.key(seed), config.Checkpointing().every)
    return Job(subject, seed, machine, prepared, folder / str(seed), checkpoint, "")


if __name__ == "__main__":
    main()
