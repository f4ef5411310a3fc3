"""What each option does by itself, in a study that has every combination of some options.

Such a study is a factorial design, its options are factors, and the first value of each is what its
others are compared with. The effect of a value is the difference that it makes in the mean over all
combinations of the other factors; two values interact where one makes another difference beside
the other. Both are estimated as a difference of two variants is: by what each seed brought on each
item (evaluation/statistics.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd

from unroll.evaluation.modes import border, modes
from unroll.evaluation.statistics import holm
from unroll.kinds.kind import Kind
from unroll.options import shown, values_of
from unroll.reporting.comparison import VERDICTS, against, dicts, verdict
from unroll.reporting.results import Result


@dataclass(frozen=True)
class Design:
    """The outcomes (S, I) of each combination of the values of some factors."""

    factors: Sequence[str]
    outcomes: Mapping[tuple[Any, ...], np.ndarray]  # by a value of each factor

    def values(self, factor: str) -> list[Any]:
        """Return the values of a factor, that with which others are compared first."""
        place = self.factors.index(factor)
        return list(dict.fromkeys(cell[place] for cell in self.outcomes))

    def mean(self, given: Mapping[str, Any]) -> np.ndarray:
        """Return the mean outcomes (S, I) of all combinations that have the values given."""
        found = [
            of
            for cell, of in self.outcomes.items()
            if given.items() <= dict(zip(self.factors, cell, strict=True)).items()
        ]
        mean: np.ndarray = np.mean(found, axis=0)
        return mean


def design(factors: Sequence[str], results: Mapping[str, Result], score: str) -> Design:
    """Return the design of the variants of one task, on the seeds that all of them have."""
    if not factors:
        return Design([], {})
    first, *others = (result.seeds for result in results.values())
    seeds = [seed for seed in first if all(seed in of for of in others)]
    return Design(
        factors,
        {
            values_of(result.records[0].options, factors): result.outcomes(score, seeds)
            for result in results.values()
        },
    )


def effects_of(task: str, kind: Kind[Any, Any], found: Design, confidence: float) -> pd.DataFrame:
    """Return the effect of each value of each factor, and of each two together: as verdicts.

    A row is one of `judge` (reporting/comparison.py), with a value for a variant: its score is that
    which decides, p-values are corrected for all rows. `beside` says of two values together with
    what the second one is compared.
    """
    pairs = [*_alone(found), *_together(found)]
    rows = [
        {
            "task": task, "variant": one, "reference": other, "metric": kind.deciding,
            "seeds": len(ours), "comparisons": len(pairs), "beside": beside,
            **against(kind.main, {one: ours, other: theirs}, confidence, len(pairs)),
        }
        for (one, ours), (other, theirs), beside in pairs
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=[*VERDICTS, "beside"])
    table["p_corrected"] = holm(table["p_value"].tolist())
    table["verdict"] = [verdict(row, 1 - confidence) for row in dicts(table)]
    return table


Named = tuple[str, np.ndarray]  # outcomes, and what has them
Compared = tuple[Named, Named, str]  # one with another, beside what


def _alone(found: Design) -> Iterator[Compared]:
    """Yield the outcomes with each value of each factor, and with the first one."""
    for factor in found.factors:
        first, *others = [
            (shown(factor, value), found.mean({factor: value})) for value in found.values(factor)
        ]
        for other in others:
            yield other, first, ""


def _together(found: Design) -> Iterator[Compared]:
    """Yield what a value brings beside a value of another factor, and beside its first one."""
    for one, other in combinations(found.factors, 2):
        (first, *values), (beside, *besides) = found.values(one), found.values(other)
        for value, where in product(values, besides):
            pair = value, first
            yield (
                _brought(found, one, pair, other, where),
                _brought(found, one, pair, other, beside),
                shown(other, beside),
            )


def _brought(found: Design, factor: str, pair: tuple[Any, Any], other: str, where: Any) -> Named:
    """Return the difference that a value makes where another factor has a certain value."""
    with_it, without = (found.mean({factor: value, other: where}) for value in pair)
    return f"{shown(factor, pair[0])} where {shown(other, where)}", with_it - without


def learned(kind: Kind[Any, Any], found: Design) -> pd.DataFrame:
    """Return for each value of each factor its mean, and how many of its runs learn.

    A run is a combination with a seed. Where runs are of two kinds, those of the better kind learn;
    `learn` is empty where they are of one.
    """
    means = {cell: of.mean(axis=1) for cell, of in found.outcomes.items()}
    every = [value for of in means.values() for value in of]
    above = kind.main.sign * border(every) if modes(every) else None
    rows = []
    for place, factor in enumerate(found.factors):
        for value in found.values(factor):
            runs = np.concatenate([of for cell, of in means.items() if cell[place] == value])
            good = None if above is None else int((kind.main.sign * runs > above).sum())
            mean = float(kind.main.scale.back(runs.mean()))
            rows.append((shown(factor, value), mean, good, len(runs)))
    return pd.DataFrame(rows, columns=["value", "mean", "learn", "runs"])
