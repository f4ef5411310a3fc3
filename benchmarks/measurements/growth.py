"""How the time of a training step grows with the batch (N), the steps (T), H, V and the layers.

Made-up data of one length, one thing changed at a time; all sizes of it in turn. The exponent k is
that of time = a · size^k: 1 where it grows as the size, 2 where it grows as its square. Matrix
products of H units want k = 2 where they are all that counts; small models come off with less.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import made_up
from results import Found
from trainings import epochs_of, training
from turns import Turns

MILLI = 1e3
OPTIONS = {"H": "hidden_size", "layers": "layers"}  # what grows, as an option


def measure(
    turns: Turns,
    kind: str,
    base: Mapping[str, int],
    options: Any,
    steps: int,
    grown: Mapping[str, Sequence[int]],
) -> Iterator[Found]:
    """Yield the milliseconds of a step of training, for each thing that grows.

    `base` says what N, T and V (the words) are while something else grows; an epoch has `steps`.
    """
    for by, sizes in grown.items():
        ways = {
            size: STEPS[kind](
                {**base, **({by: size} if by in base else {})},
                {**options, **({OPTIONS[by]: size} if by in OPTIONS else {})},
                steps,
            )
            for size in sizes
        }
        yield turns.grown(f"a training step of {NAMES[kind]}", by, "ms", ways, MILLI)


def _pairs(base: Mapping[str, int], options: Any, steps: int) -> Callable[[], int]:
    data = made_up.even(base["N"] * steps, base["V"], base["T"])
    return epochs_of(training("pairs", data, **options, batch_size=base["N"]))


def _corpus(base: Mapping[str, int], options: Any, steps: int) -> Callable[[], int]:
    sizes = {"train": base["N"] * base["T"] * steps + 1, "valid": 2, "test": 2}
    data, shape = made_up.corpus(sizes, base["V"]), {"batch_size": base["N"]}
    return epochs_of(training("corpus", data, **options, **shape, time_steps=base["T"]))


STEPS = {"pairs": _pairs, "corpus": _corpus}
NAMES = {"pairs": "an encoder and a decoder", "corpus": "a language model"}
