"""Commands as they are typed, and folders in which they can be."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from unroll.errors import TrainingError

PROGRAMS = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
NEEDED = ("constraints.txt", ".dvcignore")
OF_OTHERS = ("MLFLOW_TRACKING_URI", "DVC_ROOT", "DVC_STAGE")  # of the dvc that may run us


def seconds_of(folder: Path, *words: str) -> float:
    """Return the seconds of a command that is typed in a folder.

    Raises:
        TrainingError: it failed; the message has what it printed last.
    """
    environment = {name: value for name, value in os.environ.items() if name not in OF_OTHERS}
    environment |= {"PYTHONPATH": str(ROOT / "src"), "MLFLOW_DISABLE_TELEMETRY": "true"}
    started = time.perf_counter()
    done = subprocess.run(
        [str(PROGRAMS / words[0]), *words[1:]],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise TrainingError(f"{' '.join(words)} failed:\n{done.stdout[-2000:]}")
    return seconds


def project(folder: Path, params: Mapping[str, Any]) -> None:
    """Make a project in a folder, with a root study that has these params and has not run."""
    folder.mkdir()
    for name in NEEDED:
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    stages = (ROOT / "dvc.yaml").read_text().partition("\nplots:")[0]  # they are of its tasks
    (folder / "dvc.yaml").write_text(stages + "\n")
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe").dump(dict(params), file)
    seconds_of(folder, "dvc", "init", "--quiet", "--no-scm")
