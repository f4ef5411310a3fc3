"""Symbol after symbol: the one decoder for answers and continuations."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from unroll.generation.sampling import Sampling, choose
from unroll.models.layers import State

GREEDY = Sampling(temperature=0)

# Symbols (N, T) and the state before them → logits (N, T, V) and the state after them.
Step = Callable[[Tensor, State | None], tuple[Tensor, State]]


@dataclass(frozen=True)
class Decoded:
    """What was written, and how likely the model found it."""

    symbols: Tensor  # (N, T)
    log_probabilities: Tensor  # (N, T), natural logarithms, before temperature and filters


@torch.inference_mode()
def decode(
    step: Step,
    first: Tensor,
    state: State | None,
    length: int,
    sampling: Sampling = GREEDY,
    generator: torch.Generator | None = None,
) -> Decoded:
    """Write `length` symbols after the symbols `first` (N, T), T ≥ 1."""
    symbols, written, scores = first, [], []
    for _ in range(length):
        logits, state = step(symbols, state)
        last = logits[:, -1]
        symbols = choose(last, sampling, generator)[:, None]
        written.append(symbols)
        scores.append(last.float().log_softmax(dim=1).gather(1, symbols))
    return Decoded(torch.cat(written, dim=1), torch.cat(scores, dim=1))
