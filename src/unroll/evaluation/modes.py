"""Seeds that are of two kinds: some learn, and some get stuck.

A mean of such seeds is what none of them has, and its interval says nothing about the next one. So
seeds are looked at before they are averaged: sorted, they are cut in two where that explains most
of their variance (k-means of two, in one dimension), and are of two kinds where what is left is
less than it would be in one of a hundred cases if all were drawn from one normal distribution, and
where the two lie apart by what matters.

Seeds of a kind that none of those trained is of cannot be seen: `unseen` says how many there
can be. No method could tell: such seeds, where none was drawn, leave no trace.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from unroll.seeds import numpy_generator

LEVEL = 0.01  # how often seeds of one kind are taken for two
APART = 0.1  # on the scale of a metric: ten points, or a tenth of a perplexity
DRAWS = 200_000  # of a normal distribution


@dataclass(frozen=True)
class Modes:
    """Values of seeds that are of two kinds: the lower and the upper ones."""

    lower: np.ndarray
    upper: np.ndarray


def modes(values: ArrayLike) -> Modes | None:
    """Return the two kinds of the seeds with these values (S,); None where they are of one."""
    x = np.sort(np.asarray(values, dtype=float))
    if len(x) < 3:
        return None
    left, cut = _cut(x[None])
    lower, upper = x[: cut[0]], x[cut[0] :]
    apart = upper[0] - lower[-1] >= APART
    return Modes(lower, upper) if apart and left[0] < _least(len(x)) else None


def border(values: ArrayLike) -> float:
    """Return the value that parts these (S,) best into lower and upper ones."""
    x = np.sort(np.asarray(values, dtype=float))
    cut = int(_cut(x[None])[1][0])
    return float((x[cut - 1] + x[cut]) / 2)


def p_value_of_shares(one: ArrayLike, other: ArrayLike, above: float) -> float:
    """Return how likely shares of values above a border are so unlike by chance (two-sided).

    It is Fisher's exact test. The border may come from both samples together: what it asks is how
    the values are dealt to the two, whatever they are.
    """
    table = [
        [(np.asarray(of) > above).sum(), (np.asarray(of) <= above).sum()] for of in (one, other)
    ]
    return float(stats.fisher_exact(table).pvalue)


def unseen(seeds: int, confidence: float) -> float:
    """Return the largest share of seeds of another kind of which none of `seeds` would be."""
    return float(1 - (1 - confidence) ** (1 / seeds))


def _cut(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return of sorted values (R, S) the share of variance left within two parts, and the cut."""
    centred = x - x.mean(axis=1, keepdims=True)
    total = (centred**2).sum(axis=1)
    k = np.arange(1, x.shape[1])
    between = centred.cumsum(axis=1)[:, :-1] ** 2 * (1 / k + 1 / (x.shape[1] - k))
    best = between.argmax(axis=1)
    most = between[np.arange(len(x)), best]
    return 1 - np.divide(most, total, out=np.zeros_like(most), where=total > 0), best + 1


@cache
def _least(seeds: int) -> float:
    """Return the share of variance that two parts of so many normal seeds leave in 1 % of cases."""
    drawn = numpy_generator(0, "modes", str(seeds)).normal(size=(DRAWS, seeds))
    return float(np.quantile(_cut(np.sort(drawn, axis=1))[0], LEVEL))
