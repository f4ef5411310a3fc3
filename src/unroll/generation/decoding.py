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
    """What was written, how likely the model found it, and where it stands."""

    symbols: Tensor  # (N, T)
    log_probabilities: Tensor  # (N, T), natural logarithms, before temperature and filters
    state: State | None = None  # before the last symbols, which nobody has read yet


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
    limits: Tensor | None = None,
    history: Tensor | None = None,
) -> Written:
    """Write at most `length` ≥ 1 symbols after the symbols `first` (N, T), T ≥ 1.

    Where a symbol is the `end`, a sequence ends with it: what follows is `pad`, with a probability
    of 1. When all have ended nothing more is computed. After as many symbols as `limits` (N,) allow
    comes the end, if there is room for it. What stands before `first`, in any order, is `history`
    (N, S): a repetition penalty asks for it. From the state that is returned, and the last symbols,
    a text goes on as if it had been written at once.
    """
    symbols, N = first, len(first)
    filling = first.new_full((N, length), pad)
    text = torch.cat([first if history is None else history, first, filling], dim=1)
    written = text[:, -length:]
    scores: list[Tensor] = []
    ended = torch.zeros(N, dtype=torch.bool, device=first.device)
    for i in range(length):
        logits, state = step(symbols, state)
        last = at_least_float32(logits[:, -1])
        so_far = text[:, : text.shape[1] - length + i]
        chosen = choose(allowed(last, i, end, limits), sampling, generator, so_far)
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
    return Written(written, F.pad(found, (0, length - len(scores))), state)


def allowed(logits: Tensor, written: int, end: int | None, limits: Tensor | None) -> Tensor:
    """Return logits (N, V) that leave the end alone where no more than `written` is allowed."""
    if limits is None:
        return logits
    others = torch.arange(logits.shape[1], device=logits.device) != end
    return logits.masked_fill((limits <= written)[:, None] & others, -torch.inf)
