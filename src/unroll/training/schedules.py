"""Learning-rate schedules: the share of the rate at each step of a training.

A schedule knows the step (from 0), how many there are in all, and how the validation went so far:
a number for each epoch that has ended, lower being better. It keeps nothing, so that a training
that is taken up again has the same rates.
"""

import math
from collections.abc import Callable, Sequence

Schedule = Callable[[int, int, Sequence[float]], float]

WARM_UP = 0.1  # share of the steps in which one_cycle rises to its peak
CUT = 4  # by which on_plateau divides, as the book does


def constant(step: int, steps: int, validations: Sequence[float] = ()) -> float:
    """Return 1: the rate stays as it is."""
    return 1.0


def one_cycle(step: int, steps: int, validations: Sequence[float] = ()) -> float:
    """Return the share of the peak rate at a step (from 0): a straight rise, then half a cosine.

    After Smith & Topin, 2018, "Super-Convergence". No step has a rate of zero.
    """
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return cosine(step - rise + 1, steps - rise + 1)


def cosine(step: int, steps: int, validations: Sequence[float] = ()) -> float:
    """Return the share at a step of half a cosine, from 1 towards 0.

    After Loshchilov & Hutter, 2017, "SGDR", without restarts.
    """
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def on_plateau(step: int, steps: int, validations: Sequence[float] = ()) -> float:
    """Return the share after so many epochs that were no better than the best before them.

    Each divides the rate ("Deep Learning from Scratch 2", section 6.5.5).
    """
    best, cuts = math.inf, 0
    for found in validations:
        cuts += found >= best
        best = min(best, found)
    return float(CUT**-cuts)


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "one_cycle": one_cycle,
    "cosine": cosine,
    "on_plateau": on_plateau,
}
