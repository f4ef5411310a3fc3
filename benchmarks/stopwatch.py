"""Seconds of training steps, taken by the same objects as in a real training."""

import itertools
import time
from collections.abc import Callable

import torch

from unroll.training.loop import Training
from unroll.training.stacked import Stack


def seconds_of(
    training: Training,
    epoch: int,
    steps: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Take the first steps of an epoch, or all of them; return the seconds that they took."""
    objective = training.objective
    objective.model.train()
    wait()
    started = clock()
    for loss in itertools.islice(objective.losses(epoch), steps):
        training.step(loss)
    wait()
    return clock() - started


def seconds_of_stack(stack: Stack, steps: int) -> float:
    """Take the first steps of an epoch in all seeds; return the seconds that they took."""
    for training in stack.trainings:
        training.steps, training.total = 0, None
    taken = stack.take_steps()
    next(taken)  # the order of the epoch is drawn before
    wait()
    started = time.perf_counter()
    for _ in itertools.islice(taken, steps):
        pass
    wait()
    return time.perf_counter() - started


def wait() -> None:
    """Wait until a GPU has done all that it was given: it works on while Python goes on."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
