"""What is measured: the name of a metric, which way is better, and how it is written.

Everything that prints, clips, compares, ranks or draws a metric asks the metric. A new one is an
entry in the list of its kind (kinds/), and touches nothing else.

Values are kept as they are (a share of 0.5, a perplexity of 108). A metric is compared on its
scale: shares as they are, perplexities as logarithms, so that a mean over seeds is a geometric
one and a difference a ratio.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

MINUS = "−"


class Scale(ABC):
    """How values are compared and written."""

    unit: str  # behind a value
    difference_unit: str  # behind a difference
    logarithmic = False  # how it is drawn

    def to(self, values: ArrayLike) -> np.ndarray:
        """Return values as they are compared."""
        return np.asarray(values, dtype=float)

    def back(self, values: ArrayLike) -> np.ndarray:
        """Return what is compared as values."""
        return np.asarray(values, dtype=float)

    @abstractmethod
    def shown(self, value: float) -> float:
        """Return the number that people read for a value, or for a spread of values."""

    def difference(self, compared: float) -> float:
        """Return a difference of what is compared, as it is kept and told."""
        return compared

    def signed(self, difference: float) -> str:
        """Return a difference as people read it, without its unit."""
        return f"{self.shown(difference):+.1f}".replace("-", MINUS)


class Share(Scale):
    """From 0 to 1, written in percent; a difference is in points."""

    unit, difference_unit = " %", "points"

    def shown(self, value: float) -> float:
        """In percent."""
        return 100 * value


class Points(Scale):
    """A number as it is; a difference is one too."""

    unit, difference_unit = "", "points"

    def shown(self, value: float) -> float:
        """As it is."""
        return value


class Logarithm(Scale):
    """A number above 0 that is compared by its logarithm; a difference is in percent of it."""

    unit, difference_unit = "", "%"
    logarithmic = True

    def to(self, values: ArrayLike) -> np.ndarray:
        """The natural logarithm."""
        return np.asarray(np.log(np.asarray(values, dtype=float)))

    def back(self, values: ArrayLike) -> np.ndarray:
        """The exponential."""
        return np.asarray(np.exp(np.asarray(values, dtype=float)))

    def shown(self, value: float) -> float:
        """As it is."""
        return value

    def difference(self, compared: float) -> float:
        """The ratio less one."""
        return math.expm1(compared)

    def signed(self, difference: float) -> str:
        """In percent."""
        return f"{100 * difference:+.1f}".replace("-", MINUS)


class Ratio(Logarithm):
    """A ratio that is compared by its logarithm, and written in percent."""

    unit = " %"

    def shown(self, value: float) -> float:
        """In percent."""
        return 100 * value


@dataclass(frozen=True)
class Metric:
    """A metric; `low` and `high` are the bounds of what it can be."""

    name: str  # without the split: exact_match
    scale: Scale
    low: float = 0.0
    high: float = math.inf
    higher_is_better: bool = True
    known_as: str = ""  # where that is not its name in words

    @property
    def title(self) -> str:
        """The name in words."""
        return self.known_as or self.name.replace("_", " ")

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.higher_is_better else -1

    def clip(self, value: float) -> float:
        """Return a value within what the metric can be; what is no number stays so."""
        return value if math.isnan(value) else min(max(value, self.low), self.high)

    def clip_difference(self, difference: float) -> float:
        """Return a difference within what it can be; what is no number stays so."""
        if math.isnan(difference) or self.scale.logarithmic:
            return difference
        reach = self.high - self.low
        return min(max(difference, -reach), reach)

    def show(self, mean: float, std: float = math.nan) -> str:
        """Return a value as people write it, ± the standard deviation of the seeds."""
        spread = "" if math.isnan(std) else f" ± {self.show_spread(std)}"
        return f"{self.scale.shown(mean):.1f}{spread}{self.scale.unit}"

    def show_spread(self, std: float) -> str:
        """Return the standard deviation of the seeds; nothing where there is none."""
        return "" if math.isnan(std) else f"{self.scale.shown(std):.1f}"

    def show_interval(self, mean: float, low: float, high: float) -> str:
        """Return a mean with its interval."""
        shown = [self.scale.shown(bound) for bound in (low, high)]
        return f"{self.show(mean)} [{shown[0]:.1f}, {shown[1]:.1f}]"

    def show_difference(self, difference: float, low: float, high: float) -> str:
        """Return a difference with its interval, where it has one."""
        if math.isnan(difference):
            return "–"
        unit = self.scale.difference_unit + (f" of {self.title}" if self.scale.logarithmic else "")
        told = f"{self.scale.signed(difference)} {unit}"
        if math.isnan(low):
            return told
        return f"{told} [{self.scale.signed(low)}, {self.scale.signed(high)}]"


EXACT_MATCH = Metric("exact_match", Share(), high=1.0)
CHARACTER_ACCURACY = Metric("character_accuracy", Share(), high=1.0)
ACCURACY = Metric("accuracy", Share(), high=1.0)
MACRO_F1 = Metric("macro_f1", Share(), high=1.0, known_as="macro F1")
BLEU = Metric("bleu", Points(), high=100.0, known_as="BLEU")
CHRF = Metric("chrf", Points(), high=100.0, known_as="chrF")
TRUE_CAPTIONS = Metric("true_captions", Share(), high=1.0)
DISTINCT = Metric("distinct_answers", Share(), high=1.0)
COPIED = Metric("copied_answers", Share(), high=1.0, higher_is_better=False)
AGAINST_SHUFFLED = Metric("against_shuffled", Ratio(), higher_is_better=False)
PERPLEXITY = Metric("perplexity", Logarithm(), low=1.0, higher_is_better=False)

# Of other ways to let a language model predict a text (evaluation/methods).
BY_METHOD = {
    name: Metric(
        f"perplexity_{name}",
        Logarithm(),
        low=1.0,
        higher_is_better=False,
        known_as=f"perplexity {words}",
    )
    for name, words in {
        "cache": "with a cache",
        "dynamic": "of dynamic evaluation",
        "dynamic_rms": "of dynamic evaluation (RMS)",
        "mc_dropout": "of MC dropout",
        "temperature": "at its best temperature",
    }.items()
}
