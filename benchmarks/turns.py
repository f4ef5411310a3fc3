"""Several ways to do something, in turn: A B A B, so that a machine that drifts hits all alike."""

import multiprocessing
import re
import resource
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results import Compared, Grown

Way = Callable[[], float]  # does some of it, and says how many units that was


@dataclass(frozen=True)
class Turns:
    """How often each way is measured, and for how long."""

    rounds: int
    seconds: float  # for a way in a round: it is called until they have passed
    square: int  # rows and columns of the matrices by which the machine is measured

    def rates(self, ways: Mapping[Any, Way]) -> dict[Any, list[float]]:
        """Return the units a second that each way brings, in each round.

        Each is called once before, to warm up.
        """
        for run in ways.values():
            run()
        found: dict[Any, list[float]] = {name: [] for name in ways}
        for number in range(self.rounds):
            for name, run in ways.items():
                found[name].append(rate(run, self.seconds))
            _show(f"round {number + 1} of {self.rounds}")
        return found

    def compared(
        self, what: str, unit: str, ways: Mapping[str, Way], operations: int | None = None
    ) -> Compared:
        """Return the rates of all ways, with those of matrix products in the same rounds."""
        from limits import product
        from trainings import precision

        _show(f"{what}: {'; '.join(ways)}")
        measured = dict.fromkeys(["float32", precision()] if operations else [])
        limits = {of: product(of, self.square) for of in measured}
        found = self.rates({**ways, **{("limit", of): run for of, run in limits.items()}})
        return Compared(
            what,
            unit,
            {name: found[name] for name in ways},
            operations,
            {of: found["limit", of] for of in limits},
        )

    def grown(
        self, what: str, by: str, unit: str, ways: Mapping[float, Way], scale: float
    ) -> Grown:
        """Return the seconds × `scale` of a unit, for each size."""
        _show(f"{what}, by {by}: {', '.join(f'{size:g}' for size in ways)}")
        rates = self.rates(ways)
        points = {size: [scale / value for value in values] for size, values in rates.items()}
        return Grown(what, by, unit, points)


def rate(run: Way, seconds: float) -> float:
    """Call until so many seconds have passed, once at least; return the units a second."""
    units, started = 0.0, time.perf_counter()
    while True:
        units += run()
        if (passed := time.perf_counter() - started) >= seconds:
            return units / passed


def apart(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Call a function in a process of its own; return what it returned, and its peak MB."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(_with_memory, function, *arguments).result()


def _with_memory(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    return function(*arguments), peak_memory()


def peak_memory() -> float:
    """Return the greatest memory that this process has had, in MB."""
    status = Path("/proc/self/status")  # what the system counts else begins with its parent's
    if status.exists():
        return int(re.findall(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.M)[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes, on macOS


def _show(text: str) -> None:
    print(f"  {text}", flush=True)
