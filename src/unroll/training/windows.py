"""How many steps of a corpus are read at once, for truncated BPTT."""

from unroll.seeds import numpy_generator

HALVED = 0.05  # the share of windows that are about half as long
SPREAD = 5  # the standard deviation of their lengths
SHORTEST = 5


def even(length: int, time_steps: int) -> list[int]:
    """Return the lengths of windows of `time_steps`, of which the last may be shorter."""
    whole, rest = divmod(length, time_steps)
    return [time_steps] * whole + ([rest] if rest else [])


def varied(length: int, time_steps: int, epoch: int) -> list[int]:
    """Return lengths about `time_steps`, so that a window does not end at the same words each time.

    After Merity et al., 2018, "Regularizing and Optimizing LSTM Language Models", section 4.1.
    There they are drawn anew in each epoch; here they come in another order, so that every epoch
    has as many steps. All seeds have the same.
    """
    random = numpy_generator(0, "time_steps")
    found: list[int] = []
    while length:
        mean = time_steps / 2 if random.random() < HALVED else time_steps
        found.append(min(length, max(SHORTEST, int(random.normal(mean, SPREAD)))))
        length -= found[-1]
    order = numpy_generator(0, "time_steps", str(epoch)).permutation(len(found))
    return [found[i] for i in order]
