"""How the next token is chosen from its logits."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from unroll.models.layers import at_least_float32

# Temperatures beyond these are 0 or infinite in float32; within them nothing is different.
COLDEST, HOTTEST = 1e-30, 1e30


@dataclass(frozen=True)
class Sampling:
    """Temperature 0 takes the most likely token; otherwise one is drawn.

    `top_k` keeps the k most likely tokens (0: all); `top_p` keeps the fewest most likely
    tokens that have this probability together (Holtzman et al., 2020); tokens in `skip`
    (ids) are never chosen.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    skip: tuple[int, ...] = ()


def choose(logits: Tensor, sampling: Sampling, generator: torch.Generator | None) -> Tensor:
    """Return the next token (N,) of each row of logits (N, V).

    The generator is asked only where the temperature is above 0.
    """
    logits = at_least_float32(logits)
    if sampling.skip:
        logits = logits.index_fill(1, logits.new_tensor(sampling.skip, dtype=torch.long), -math.inf)
    if sampling.temperature == 0:
        return logits.argmax(dim=1)
    logits = _keep_top_k(logits, sampling.top_k)
    # So that what is divided by a low temperature is 0 or less.
    logits = logits - logits.amax(dim=1, keepdim=True)
    temperature = min(max(sampling.temperature, COLDEST), HOTTEST)
    probabilities = _keep_top_p((logits / temperature).softmax(dim=1), sampling.top_p)
    return probabilities.multinomial(1, generator=generator)[:, 0]


def _keep_top_k(logits: Tensor, k: int) -> Tensor:
    if not 0 < k < logits.shape[1]:
        return logits
    kept = logits.topk(k, dim=1).indices  # k of them also where several are equally likely
    return torch.full_like(logits, -math.inf).scatter(1, kept, logits.gather(1, kept))


def _keep_top_p(probabilities: Tensor, p: float) -> Tensor:
    if p >= 1:
        return probabilities
    descending, order = probabilities.sort(dim=1, descending=True)
    before = descending.cumsum(dim=1) - descending
    beyond = (before >= p) & (before > 0)  # the first is kept, however small p is
    return probabilities.scatter(1, order, descending.masked_fill(beyond, 0.0))
