"""What MLflow costs a training: the same training with it and without it, in turn.

    python benchmarks/tracking_share.py                        peeky of the root study
    python benchmarks/tracking_share.py --variant rnnlm --epochs 2

Run it on an otherwise idle machine, in the project's root folder, after `dvc repro` has
prepared the data. Two seeds side by side; MLflow starts with a database that exists, as in
every training but a project's first. The figures are medians.
"""

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import click

from unroll import config
from unroll.circumstances import Recorder
from unroll.config import Study
from unroll.stages.train import plan, train
from unroll.training.workers import run_all


def with_mlflow(study: Study, variant: str) -> None:
    train(study, variant)


def without_mlflow(study: Study, variant: str) -> None:
    jobs, recorder = plan(study, variant), Recorder("benchmark")
    run_all(jobs, 2, [recorder])
    recorder.write(study.circumstances(variant))


def seconds(function, study: Study, variant: str) -> float:
    started = time.perf_counter()
    function(study, variant)
    return time.perf_counter() - started


@click.command(help=__doc__)
@click.option("--variant", default="peeky", show_default=True)
@click.option("--epochs", default=10, show_default=True, type=click.IntRange(min=1))
@click.option("--times", default=3, show_default=True, type=click.IntRange(min=1))
def main(variant: str, epochs: int, times: int) -> None:
    study = config.load()
    options = study.variant(variant).model_copy(update={"epochs": epochs, "seeds": [0, 1]})
    study.variants[variant] = options
    here = Path.cwd()
    found: dict[str, list[float]] = {"with": [], "without": []}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data").mkdir()
        for name in ("prepared", "sizes"):
            shutil.copytree(here / "data" / name, Path(folder) / "data" / name)
        os.chdir(folder)
        with_mlflow(study, variant)  # makes the database, loads what is loaded once
        for _ in range(times):
            found["without"].append(seconds(without_mlflow, study, variant))
            found["with"].append(seconds(with_mlflow, study, variant))
        os.chdir(here)
    middle = {name: statistics.median(values) for name, values in found.items()}
    share = middle["with"] / middle["without"] - 1
    print(f"{variant}, {epochs} epochs, 2 seeds side by side, {times} times each:")
    for name, values in found.items():
        print(f"  {name} MLflow: {', '.join(f'{v:.1f}' for v in values)} s")
    print(f"  MLflow's share: {100 * share:.1f} % of {middle['without']:.1f} s")


if __name__ == "__main__":
    main()
