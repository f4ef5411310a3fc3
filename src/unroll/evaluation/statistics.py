"""What can be said of variants that were trained with a few seeds and tested on some items.

A result is a table of outcomes (S, I): seeds by test items, the same items for every seed.
Both are samples: of the initial weights and data orders that could have been drawn, and of
the questions that could have been asked. An interval that leaves one of them out is too
narrow.

The standard error comes from a bootstrap that draws seeds and items anew, each with
replacement (two crossed factors: Owen, 2007, "The pigeonhole bootstrap"), freed of what it
counts more than once. Percentiles of such a bootstrap cannot make the interval: with four
seeds nothing that it draws lies beyond the best and the worst of them, and a nominal 95 %
covers the truth in at most 87.5 %. The interval is that of Student's t around the mean, with
the degrees of freedom of seeds and items together (Satterthwaite, 1946). It assumes that the
means of seeds are roughly normal; with few seeds it is wide, which is the truth about few
seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

BATCH = 500  # resamples drawn at once
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


def estimate(
    outcomes: np.ndarray, confidence: float, resamples: int, random: np.random.Generator
) -> Estimate:
    """Return the mean of outcomes (S, I) over seeds and items, with its interval.

    The difference of two variants that share seeds and items is estimated from the
    difference of their outcomes: what is hard for both counts for neither.
    """
    seeds = outcomes.mean(axis=1)
    mean, nan = float(seeds.mean()), float("nan")
    if len(seeds) == 1:
        return Estimate(mean, nan, nan, nan, nan, nan)
    std, error = float(seeds.std(ddof=1)), bootstrap_error(outcomes, resamples, random)
    if error <= ROUNDING * max(1.0, abs(mean)):  # no spread: that is chance, not certainty
        return Estimate(mean, std, nan, nan, nan, nan)
    freedom = degrees_of_freedom(outcomes)
    reach = error * float(stats.t.ppf(0.5 + confidence / 2, freedom))
    return Estimate(mean, std, error, freedom, mean - reach, mean + reach)


def bootstrap_error(outcomes: np.ndarray, resamples: int, random: np.random.Generator) -> float:
    """Return the standard error of the mean of outcomes (S, I), both factors drawn anew.

    Two corrections make its square unbiased. A bootstrap of S seeds shows only (S - 1) / S of
    their variance, so their deviations from the mean are widened beforehand. And what neither
    seeds nor items explain enters with the seeds drawn, with the items drawn, and with both:
    of these three times two are taken off (Owen, 2007).
    """
    S, I = outcomes.shape  # noqa: E741
    centred = outcomes - outcomes.mean()
    between = centred.mean(axis=1, keepdims=True)
    widened = centred + (np.sqrt(S / (S - 1)) - 1) * between
    means = []
    for first in range(0, resamples, BATCH):
        count = min(BATCH, resamples - first)
        items = _draws(I, count, random)
        seeds = _draws(S, count, random)
        means.append(((widened @ items) * seeds).sum(axis=0))
    drawn = S * I * np.concatenate(means).var()
    _, of_items, left = mean_squares(outcomes)
    surplus = left * (1 + (S - 1) * (I - 1) / (S * I)) if I > 1 else 0.0
    return float(np.sqrt(max(drawn - surplus, of_items) / (S * I)))


def _draws(size: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Return the shares (size, count) with which `count` resamples draw each of `size` things."""
    if size == 1:
        return np.ones((1, count))
    drawn = random.integers(size, size=(count, size)) + size * np.arange(count)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * count).reshape(count, size).T / size


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
