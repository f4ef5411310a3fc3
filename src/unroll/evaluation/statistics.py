"""What can be said of variants that were trained with a few seeds and tested on some items.

A result is a table of outcomes (S, I): seeds by test items, the same items for every seed.
Both are samples: of the initial weights and data orders that could have been drawn, and of
the questions that could have been asked. An interval that leaves one of them out is too
narrow.

The standard error is that of two crossed random factors, from their mean squares (Cornfield and
Tukey, 1956, "Average values of mean squares in factorials"): nothing is drawn, so no chance is in
it. The interval is that of Student's t around the mean, with the degrees of freedom of seeds and
items together (Satterthwaite, 1946). It assumes that the means of seeds are roughly normal: whether
they are of two kinds is asked first (modes.py). With few seeds it is wide, which is the
truth about few seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

POWER = 0.8  # with which a difference is told by as many seeds as are said to tell it
MOST = 200  # seeds that anyone would train to tell a difference
ROUNDING = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and items; no error and no interval where there is no spread to see."""

    mean: float
    std: float  # of the means of the seeds, as of a sample
    error: float  # standard error of the mean
    freedom: float  # degrees of freedom of the standard error
    low: float
    high: float

    @property
    def p_value(self) -> float:
        """The probability of a mean as far from zero where the truth is zero (two-sided)."""
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.freedom))


def estimate(outcomes: np.ndarray, confidence: float) -> Estimate:
    """Return the mean of outcomes (S, I) over seeds and items, with its interval.

    The difference of two variants that share seeds and items is estimated from the
    difference of their outcomes: what is hard for both counts for neither.
    """
    seeds = outcomes.mean(axis=1)
    mean, nan = float(seeds.mean()), float("nan")
    if len(seeds) == 1:
        return Estimate(mean, nan, nan, nan, nan, nan)
    std, error = float(seeds.std(ddof=1)), standard_error(outcomes)
    if error <= ROUNDING * max(1.0, abs(mean)):  # no spread: that is chance, not certainty
        return Estimate(mean, std, nan, nan, nan, nan)
    freedom = degrees_of_freedom(outcomes)
    reach = error * float(stats.t.ppf(0.5 + confidence / 2, freedom))
    return Estimate(mean, std, error, freedom, mean - reach, mean + reach)


def standard_error(outcomes: np.ndarray) -> float:
    """Return the standard error of the mean of outcomes (S, I), S ≥ 2, over seeds and items.

    Its square is unbiased: (of seeds + of items - left) / (S I), of the mean squares; never less
    than items alone explain. Of answers that are right or wrong it is never less than one answer
    weighs: that all seeds give all of them rightly is not certainty.
    """
    S, I = outcomes.shape  # noqa: E741
    of_seeds, of_items, left = mean_squares(outcomes)
    error = float(np.sqrt(max(of_seeds + of_items - left, of_items) / (S * I)))
    least = 1 / I if I > 1 and outcomes.any() and np.isin(outcomes, (-1, 0, 1)).all() else 0.0
    return max(error, least)


def seeds_that_tell(outcomes: np.ndarray, level: float) -> int | None:
    """Return about how many seeds would tell a difference, where that of outcomes (S, I) is true.

    It is told where p is below `level`, in four repetitions of five. More seeds make the part of
    the error smaller that is of seeds; None where more than `MOST` would be needed.
    """
    S, I = outcomes.shape  # noqa: E741
    of_seeds, of_items, left = mean_squares(outcomes)
    of_a_seed, of_all = of_seeds / I, max(of_items - left, 0.0) / (S * I)
    n = np.arange(3, MOST + 1)
    error = np.sqrt(of_a_seed / n + of_all).clip(min=ROUNDING)
    needed = stats.t.isf(level / 2, n - 1)
    told = stats.t.sf(needed - abs(outcomes.mean()) / error, n - 1) >= POWER
    return int(n[told.argmax()]) if told.any() else None


def mean_squares(outcomes: np.ndarray) -> tuple[float, float, float]:
    """Return the mean squares of outcomes (S, I), S ≥ 2: of seeds, of items, of what is left.

    Those of items and of what is left are 0 where there is one item.
    """
    S, I = outcomes.shape  # noqa: E741
    by_seeds, by_items = outcomes.mean(axis=1), outcomes.mean(axis=0)
    of_seeds = float(I * by_seeds.var(ddof=1))
    if I == 1:
        return of_seeds, 0.0, 0.0
    rest = outcomes - by_seeds[:, None] - by_items + outcomes.mean()
    of_items = float(S * by_items.var(ddof=1))
    return of_seeds, of_items, float((rest**2).sum() / ((S - 1) * (I - 1)))


def degrees_of_freedom(outcomes: np.ndarray) -> float:
    """Return the degrees of freedom of the error of the mean of outcomes (S, I), S ≥ 2.

    After Satterthwaite, 1946, from the mean squares; never fewer than those of the seeds alone, and
    not more where there are two: a variance of one degree of freedom is often far too small.
    """
    S, I = outcomes.shape  # noqa: E741
    of_seeds, of_items, left = mean_squares(outcomes)
    total = max(of_seeds + of_items - left, of_items)
    if I == 1 or S == 2 or total == 0:
        return float(S - 1)
    parts = of_seeds**2 / (S - 1) + of_items**2 / (I - 1) + left**2 / ((S - 1) * (I - 1))
    return float(max(total**2 / parts, S - 1))


def superiority(variant: Sequence[float], reference: Sequence[float]) -> float:
    """Return the probability that a value of the variant is the greater; a tie counts half.

    It is the statistic of Mann and Whitney, 1947, divided by the number of pairs.
    """
    pairs = np.subtract.outer(np.asarray(variant), np.asarray(reference))
    return float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm, 1979); what is not a number stays so."""
    corrected, largest = [float("nan")] * len(p_values), 0.0
    known = [i for i, p in enumerate(p_values) if not np.isnan(p)]
    for rank, i in enumerate(sorted(known, key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(known) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected
