"""Symbol after symbol: the one decoder for answers and continuations."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.generation.sampling import Sampling, choose
from unroll.models.layers import State, at_least_float32

GREEDY = Sampling(temperature=0)

# Symbols (N, T) and the state before them → logits (N, T, V) and the state after them.
Step = Callable[[Tensor, State | None], tuple[Tensor, State]]


@dataclass(frozen=True)
class Written:
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
    end: int | None = None,
    pad: int = 0,
) -> Written:
    """Write at most `length` ≥ 1 symbols after the symbols `first` (N, T), T ≥ 1.

    Where a symbol is the `end`, a sequence ends with it: what follows is `pad`, with a probability
    of 1. When all have ended nothing more is computed.
    """
    symbols, N = first, len(first)
    written = first.new_full((N, length), pad)
    scores: list[Tensor] = []
    ended = torch.zeros(N, dtype=torch.bool, device=first.device)
    for i in range(length):
        logits, state = step(symbols, state)
        last = at_least_float32(logits[:, -1])
        chosen = choose(last, sampling, generator)
        found = last.log_softmax(dim=1).gather(1, chosen[:, None]).squeeze(1)
        if end is not None:
            chosen, found = chosen.masked_fill(ended, pad), found.masked_fill(ended, 0.0)
        symbols, written[:, i] = chosen[:, None], chosen
        scores.append(found)
        if end is not None:
            ended |= chosen == end
            if bool(ended.all()):
                break
    found = torch.stack(scores, dim=1)
    return Written(written, F.pad(found, (0, length - len(scores))))
