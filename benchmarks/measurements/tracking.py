"""`unroll track` with more and more runs: the first time, and with nothing to do.

Runs are seeds of small models of addition, really trained and scored, up to a hundred of a variant.
The first time MLflow's database is empty. With nothing to do it holds all already: that is told by
the sizes and times of files, or, where the note of these is gone, by asking MLflow for every run.
The goal: a thousand runs with nothing to do in less than 20 seconds, as it is typed. The first time
and the questions to MLflow are measured once each: they take minutes.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from measurements.commands import project, seconds_of
from results import Found, Grown
from turns import Turns, apart

GOAL = 20.0  # seconds
FIRST, TOLD, ASKED = (
    "unroll track, the first time",
    "unroll track, nothing to do, told by files",
    "unroll track, nothing to do, MLflow asked",
)


def measure(turns: Turns, runs: Sequence[int], together: int, task: Any) -> Iterator[Found]:
    """Yield the seconds with so many runs, at most `together` of a variant."""
    found: dict[str, dict[float, list[float]]] = {what: {} for what in (FIRST, TOLD, ASKED)}
    for count in runs:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "project"
            project(folder, study(count, together, task))
            apart(train, folder)
            found[FIRST][count] = [seconds_of(folder, "unroll", "track")]
            found[TOLD][count] = [
                seconds_of(folder, "unroll", "track") for _ in range(turns.rounds)
            ]
            for note in folder.glob("*.tracked"):
                note.unlink()
            found[ASKED][count] = [seconds_of(folder, "unroll", "track")]
        print(f"  {count} runs: {', '.join(f'{of[count][0]:.1f} s' for of in found.values())}")
    for what, points in found.items():
        yield Grown(what, "runs", "s", points)


def study(count: int, together: int, task: Any) -> dict[str, Any]:
    """Return the params of a study with so many runs."""
    groups = [range(first, min(first + together, count)) for first in range(0, count, together)]
    return {
        "compute": {"executor": "stacked", "workers": 1},
        "tasks": {"addition": task},
        "variants": {
            f"variant-{number}": {"task": "addition", "seeds": list(seeds)}
            for number, seeds in enumerate(groups)
        },
    }


def train(folder: Path) -> None:
    """Train and score all runs of the study in a folder, without MLflow."""
    os.chdir(folder)
    from unroll.runs.recorder import Recorder
    from unroll.stages.evaluate import evaluate
    from unroll.stages.plan import plan
    from unroll.stages.prepare import prepare
    from unroll.stages.size import size
    from unroll.stages.train import jobs_of
    from unroll.study import load
    from unroll.training.executors import Stacked
    from unroll.training.workers import run_all

    found = load()
    with contextlib.redirect_stdout(None):
        plan(found)
        prepare(found, "addition")
        size(found, "addition")
        for variant in found.variants:
            jobs = jobs_of(found, variant)
            command, folder = found.command("train", variant), found.circumstances(variant)
            run_all(jobs, Stacked(1), [Recorder(command, jobs[0].sources, folder)])
            evaluate(found, variant)
