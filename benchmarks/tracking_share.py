"""What MLflow costs a training: the same training with it and without it, in turn.

    python benchmarks/tracking_share.py                        peeky of the root study
    python benchmarks/tracking_share.py --variant rnnlm --epochs 2

Run it on an otherwise idle machine, in the project's root folder, after `dvc repro` has
prepared the data. Two seeds side by side, every training in a process of its own that
imports what it needs, MLflow with a database that exists (as in every training but a
project's first). Beside the seconds, which vary from run to run, it shows the CPU seconds
of the process that tracks: what they take from the workers cannot be more.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

KINDS = ("without", "with")


def measure(kind: str, variant: str, epochs: int) -> None:
    """Train in this process; print its seconds and its CPU seconds."""
    started = time.perf_counter()
    from unroll import config
    from unroll.runs.circumstances import Recorder
    from unroll.stages.train import plan, train
    from unroll.training.workers import run_all

    study = config.load()
    changed = {"epochs": epochs, "seeds": [0, 1]}
    study.variants[variant] = study.variant(variant).model_copy(update=changed)
    if kind == "with":
        train(study, variant)
    else:
        recorder = Recorder("benchmark")
        run_all(plan(study, variant), 2, [recorder])
        recorder.write(study.circumstances(variant))
    print(time.perf_counter() - started, time.process_time())


@click.command(help=__doc__)
@click.option("--variant", default="peeky", show_default=True)
@click.option("--epochs", default=25, show_default=True, type=click.IntRange(min=1))
@click.option("--times", default=3, show_default=True, type=click.IntRange(min=1))
def main(variant: str, epochs: int, times: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("data/prepared", "data/sizes"):
            shutil.copytree(name, Path(folder) / name)
        shutil.copy("params.yaml", folder)
        command = [sys.executable, os.path.abspath(__file__), "--measure"]  # noqa: PTH100
        for round_ in range(times + 1):
            for kind in KINDS:
                done = subprocess.run(
                    [*command, kind, variant, str(epochs)],
                    cwd=folder, capture_output=True, text=True, check=True,
                )  # fmt: skip
                if round_:  # the first makes the database
                    seconds, cpu = done.stdout.splitlines()[-1].split()
                    found[kind].append((float(seconds), float(cpu)))
    print(f"{variant}, {epochs} epochs, 2 seeds side by side, {times} times each:")
    for kind in KINDS:
        values = ", ".join(f"{seconds:.1f} ({cpu:.1f})" for seconds, cpu in found[kind])
        print(f"  {kind:7} MLflow, seconds (CPU seconds of the parent): {values}")
    wall, cpu = (
        {kind: statistics.median(row[i] for row in found[kind]) for kind in KINDS} for i in (0, 1)
    )
    print(f"  share of the seconds: {100 * (wall['with'] / wall['without'] - 1):.1f} %")
    taken = (cpu["with"] - cpu["without"]) / (2 * wall["without"])
    print(f"  CPU seconds for MLflow, of those of two cores: {100 * taken:.1f} %")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
