"""What a benchmark has found: rates beside one another, and how a cost grows."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unroll.errors import remedy
from unroll.storage.files import read_json, write_json

FOLDER = Path("reports/benchmark")


class Spread(NamedTuple):
    """The median of several rounds, the least and the greatest."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """Return median, least and greatest."""
    return Spread(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Compared:
    """Something that was done in several ways, in turn: a value for each round and way.

    The first way is this project's; the others are what it is measured against. `operations` are
    those of matrix products for a unit, where they were counted, and `limits` the rates of matrix
    products that the machine had in the same rounds (operations a second), by precision.
    """

    what: str
    unit: str
    ways: Mapping[str, Sequence[float]]
    operations: int | None = None
    limits: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def ratio(self, way: str) -> Spread:
        """Return how many times as much the first way brings as another one, round by round."""
        first = next(iter(self.ways.values()))
        return spread([own / other for own, other in zip(first, self.ways[way], strict=True)])

    def share(self, way: str, precision: str) -> Spread | None:
        """Return a way's matrix products as a share of those that the machine could do."""
        if self.operations is None or precision not in self.limits:
            return None
        rounds = zip(self.ways[way], self.limits[precision], strict=True)
        return spread([self.operations * rate / limit for rate, limit in rounds])


@dataclass(frozen=True)
class Grown:
    """What something costs as something else grows: a value for each round and size."""

    what: str
    by: str
    unit: str
    points: Mapping[float, Sequence[float]]

    def exponent(self) -> Spread:
        """Return k of cost = a · size^k: of the least squares of logarithms, round by round.

        The median is that of the medians of all rounds.
        """
        sizes = list(self.points)
        rounds = [_slope(sizes, of) for of in zip(*self.points.values(), strict=True)]
        return Spread(_slope(sizes, self.medians()), min(rounds), max(rounds))

    def medians(self) -> list[float]:
        """Return the median of each size."""
        return [statistics.median(values) for values in self.points.values()]


def _slope(sizes: Sequence[float], costs: Sequence[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


Found = Compared | Grown


@dataclass(frozen=True)
class Result:
    """All that an entry of the params file has found, with where and when."""

    entry: str
    sizes: Mapping[str, Any]
    date: str
    minutes: float
    machine: Mapping[str, Any]
    compared: Sequence[Compared]
    grown: Sequence[Grown]


def path_of(folder: Path, entry: str) -> Path:
    """Return the file of an entry's results."""
    return folder / "results" / f"{entry}.json"


def write_result(folder: Path, result: Result) -> None:
    """Write what an entry has found."""
    grown = [
        {**vars(of), "points": [[x, list(v)] for x, v in of.points.items()]} for of in result.grown
    ]
    compared = [vars(of) for of in result.compared]
    write_json(path_of(folder, result.entry), vars(result) | {"compared": compared, "grown": grown})


def read_result(folder: Path, entry: str) -> Result | None:
    """Return what an entry has found; None where it was not measured.

    Raises:
        DataError: the file is damaged.
    """
    path = path_of(folder, entry)
    if not path.is_file():
        return None
    with remedy(f"run: dvc repro -f pipeline/benchmark/dvc.yaml:measure@{entry}"):
        raw = read_json(path)
    raw["compared"] = [Compared(**of) for of in raw["compared"]]
    raw["grown"] = [Grown(**of | {"points": dict(of["points"])}) for of in raw["grown"]]
    return Result(**raw)
