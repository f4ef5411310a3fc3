"""Seconds per epoch at the book's addition setting: training, and scoring 5,000 questions.

    python benchmarks/addition_epoch.py                      one seed, the root study's baseline
    python benchmarks/addition_epoch.py --precision float32
    python benchmarks/addition_epoch.py --seeds 2            two seeds side by side
    python benchmarks/addition_epoch.py --quick              toy size: the figures say nothing

Run it on an otherwise idle machine, in the project's root folder. The first epoch warms up and
does not count; the figures are medians over the others. Each seed is a worker with checkpoints,
as in the stage `train`.
"""

import tempfile
from pathlib import Path

import click
import pandas as pd

from unroll import study
from unroll.kinds import kind_of
from unroll.options import Checkpointing
from unroll.runs.subject import Subject
from unroll.storage.folders import digest
from unroll.training.checkpoint import Checkpoint
from unroll.training.executors import Processes
from unroll.training.loop import Epoch
from unroll.training.machine import choose
from unroll.training.run import Job
from unroll.training.sources import sources_digest
from unroll.training.workers import Progress, run_all

QUICK = {"train": 600, "valid": 100, "test": 100}


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))
@click.option("--variant", default="baseline", show_default=True)
@click.option("--precision", default="auto", type=click.Choice(["auto", "float32", "bfloat16"]))
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--epochs", default=8, show_default=True, type=click.IntRange(min=2))
@click.option("--quick", is_flag=True, help="Toy size: few questions, three epochs.")
def main(variant: str, precision: str, seeds: int, epochs: int, quick: bool) -> None:
    root = study.load()
    options, task = root.variant(variant), root.task_of(variant)
    if task.options.kind != "addition" or options.match_parameters is not None:
        raise click.UsageError(f"{variant} is no variant of addition whose size is given")
    if quick:
        epochs, task = 3, type(task)(task.options.model_copy(update=QUICK))
    options = options.model_copy(update={"epochs": epochs})
    machine = choose(root.compute.model_copy(update={"precision": precision}))
    rows: list[Epoch] = []

    def listen(job: Job, message: Progress) -> None:
        if isinstance(message, Epoch):
            rows.append(message)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kind_of(options).save(task.prepare(), folder / "prepared")
        data = digest(folder / "prepared")
        subject = Subject("benchmark", variant, options, data, "", machine.facts())

        def job(seed: int) -> Job:
            every, key = Checkpointing().every, subject.key(seed)
            checkpoint = Checkpoint(folder, seed, key, every)
            target, sources = folder / str(seed), sources_digest()
            prepared = folder / "prepared"
            return Job(subject, seed, task, machine, prepared, target, checkpoint, sources, "")

        run_all([job(seed) for seed in range(seeds)], Processes(seeds), [listen])
    table = pd.DataFrame(rows).query("epoch > 1")
    assert len(table) == seeds * (epochs - 1)
    train, valid = table["train_seconds"].median(), table["valid_seconds"].median()
    print(
        f"{variant}, {machine.precision}, {seeds} side by side: "
        f"{train:.2f} s training + {valid:.2f} s scoring = {train + valid:.2f} s an epoch"
    )


if __name__ == "__main__":
    main()
