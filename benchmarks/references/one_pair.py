"""Pairs one at a time, as PyTorch's tutorial on translation trains and every first script answers.

The model is this project's; what differs is that nothing is done for several pairs at once.
"""

from collections.abc import Callable, Iterator
from itertools import cycle

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.data.pairs import Pairs
from unroll.generation.answering import answer
from unroll.training.loop import Training


def trained(one: Training) -> Callable[[], int]:
    """Return what trains on the next pair, and says how many tokens it had.

    The decoder takes a step for each word. A token is a word of a source, or a symbol to be
    predicted.
    """
    objective = one.objective
    rows = cycle(torch.arange(len(objective.source)).split(1))

    def take() -> int:
        objective.model.train()
        row = next(rows)
        source, lengths = objective.source.read(row)
        target, _ = objective.target.batch(row)
        one.step(torch.stack(list(_losses(objective.model, source, lengths, target))).mean())
        one.mean_loss()  # a training that diverged measures nothing
        return source.shape[1] + target.shape[1] - 1

    return take


def answered(one: Training, data: Pairs) -> Callable[[], int]:
    """Return what answers the next source of the validation split, the likeliest symbols of all."""
    sources = data.sources["valid"]
    numbers = cycle(range(len(sources)))

    def take() -> int:
        number = next(numbers)
        source = sources.part(slice(number, number + 1))
        answer(one.objective.model, source, data.form, one.objective.options.padding)
        return 1

    return take


def _losses(
    model: torch.nn.Module, source: Tensor, lengths: Tensor | None, target: Tensor
) -> Iterator[Tensor]:
    """Yield the loss of each symbol of a target (1, T), a step of the decoder after another."""
    memory, state = model.encode(source, lengths)
    for step in range(target.shape[1] - 1):
        logits, state, _ = model.decode(target[:, step : step + 1], state, memory)
        yield F.cross_entropy(logits[:, 0], target[:, step + 1])
