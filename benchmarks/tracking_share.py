"""What MLflow costs a training: the same training with it and without it, in turn.

    python benchmarks/tracking_share.py                        peeky of the root study
    python benchmarks/tracking_share.py --variant rnnlm --epochs 2
    python benchmarks/tracking_share.py --quick                toy size: the figures say nothing

Run it on an otherwise idle machine, in the project's root folder. Two seeds side by side, every
training in a process of its own that imports what it needs, and in a fresh folder: with prepared
data, plans and an MLflow database (as in every training but a project's first), but with neither
models nor checkpoints, so that all is trained. Beside the seconds, which vary from run to run, it
shows the CPU seconds of the process that tracks: what they take from the workers cannot be more.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from ruamel.yaml import YAML

KINDS = ("without", "with")
SEEDS = [0, 1]
QUICK = {"train": 600, "valid": 100, "test": 100}


def measure(kind: str, variant: str) -> None:
    """Train in this process; print its seconds, its CPU seconds and those of all epochs."""
    started = time.perf_counter()
    from unroll.runs.circumstances import circumstances_of
    from unroll.runs.record import read_record, seed_folder
    from unroll.runs.recorder import Recorder
    from unroll.stages.train import jobs_of, train
    from unroll.study import load
    from unroll.training.executors import Processes
    from unroll.training.workers import run_all

    study = load()
    if kind == "with":
        train(study, variant)
    else:
        jobs = jobs_of(study, variant)
        command, folder = study.command("train", variant), study.circumstances(variant)
        run_all(jobs, Processes(len(SEEDS)), [Recorder(command, jobs[0].sources, folder)])
    seconds, cpu = time.perf_counter() - started, time.process_time()
    records = [read_record(seed_folder(study.model(variant), seed)) for seed in SEEDS]
    trained = circumstances_of(study.circumstances(variant), records)
    print(seconds, cpu, max(found.seconds for found in trained.values()))


def set_up(folder: Path, variant: str, epochs: int, quick: bool) -> None:
    """Make a project with one variant of the root study, in which all is ready for its training."""
    yaml = YAML(typ="safe")
    params: dict[str, Any] = yaml.load(Path("params.yaml"))
    if variant not in params["variants"]:
        raise click.UsageError(f"the root study has no variant {variant}")
    options = {**params["variants"][variant], "epochs": epochs, "seeds": SEEDS}
    if "match_parameters" in options:
        raise click.UsageError(f"the size of {variant} is matched; choose another variant")
    task = params["tasks"][options["task"]]
    if quick:
        if task["data"]["kind"] != "addition":
            raise click.UsageError("--quick is for variants of addition")
        task["data"].update(QUICK)
    text = Path("data/raw/ptb")
    if task["data"].get("source") == "ptb" and text.is_dir():
        task["data"]["ptb_folder"] = str(text.resolve())
    small = {
        "compute": {**params["compute"], "workers": len(SEEDS)},
        "tasks": {options["task"]: task},
        "variants": {variant: options},
    }
    yaml.dump(small, folder / "params.yaml")
    ready = (
        "from unroll.stages.plan import plan; from unroll.stages.prepare import prepare; "
        "from unroll.stages.size import size; from unroll.study import load; "
        "from unroll.tracking.store import connect; study = load(); "
        f"prepare(study, {options['task']!r}); size(study, {options['task']!r}); plan(study); "
        "connect()"
    )
    _run(folder, "-c", ready)


def _run(folder: Path, *arguments: str) -> str:
    """Run Python in a folder, with the database of that folder; return what it printed."""
    mine = ("MLFLOW_TRACKING_URI", "DVC_ROOT", "DVC_STAGE")
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in mine},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise click.ClickException(done.stdout or "it failed")
    return done.stdout


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))
@click.option("--variant", default="peeky", show_default=True)
@click.option("--epochs", default=25, show_default=True, type=click.IntRange(min=1))
@click.option("--times", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--quick", is_flag=True, help="Toy size: few questions, two epochs, once each.")
def main(variant: str, epochs: int, times: int, quick: bool) -> None:
    if quick:
        epochs, times = 2, 1
    found: dict[str, list[tuple[float, ...]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as name:
        ready = Path(name) / "ready"
        ready.mkdir()
        set_up(ready, variant, epochs, quick)
        for number in range(times):
            for kind in KINDS:
                folder = Path(name) / f"{kind}-{number}"
                shutil.copytree(ready, folder)
                script = str(Path(__file__).resolve())
                printed = _run(folder, script, "--measure", kind, variant)
                found[kind].append(tuple(map(float, printed.splitlines()[-1].split())))
    print(f"{variant}, {epochs} epochs, {len(SEEDS)} seeds side by side, {times} times each:")
    for kind in KINDS:
        values = ", ".join(f"{wall:.2f} ({cpu:.2f}; {own:.2f})" for wall, cpu, own in found[kind])
        print(f"  {kind:7} MLflow, seconds (CPU seconds of the parent; of the epochs): {values}")
    wall, cpu = (
        {kind: statistics.median(row[i] for row in found[kind]) for kind in KINDS} for i in (0, 1)
    )
    print(f"  share of the seconds: {100 * (wall['with'] / wall['without'] - 1):.1f} %")
    taken = (cpu["with"] - cpu["without"]) / (len(SEEDS) * wall["without"])
    print(f"  CPU seconds for MLflow, of those of two cores: {100 * taken:.1f} %")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:4])
    else:
        main()
