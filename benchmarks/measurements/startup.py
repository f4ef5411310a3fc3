"""How long commands take that do little: what is waited for again and again.

A study of one variant of addition at toy size, in a folder of its own, that DVC has run (eight
stages): so `dvc repro` and `unroll track` have nothing to do.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measurements.commands import project, seconds_of
from results import Compared, Found
from turns import Turns, apart

COMMANDS = {
    "unroll --help": ("unroll", "--help"),
    "python, nothing imported": ("python", "-c", ""),
    "python, import torch": ("python", "-c", "import torch"),
    "unroll plan": ("unroll", "plan"),
    "unroll track, nothing to do": ("unroll", "track"),
    "dvc repro, nothing to do": ("dvc", "repro"),
}


def measure(turns: Turns, study: Any) -> Iterator[Found]:
    """Yield the seconds of each command, and the memory of a process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        project(folder, study)
        seconds_of(folder, "dvc", "repro")
        found: dict[str, list[float]] = {command: [] for command in COMMANDS}
        for number in range(turns.rounds):
            for command, words in COMMANDS.items():
                found[command].append(seconds_of(folder, *words))
            print(f"  round {number + 1} of {turns.rounds}", flush=True)
    for command, values in found.items():
        yield Compared(command, "s", {"s": values})
    megabytes = [apart(pytorch)[1] for _ in range(turns.rounds)]
    yield Compared("memory of a process that has imported PyTorch", "MB", {"MB": megabytes})


def pytorch() -> None:
    """Import PyTorch."""
    import torch  # noqa: F401
