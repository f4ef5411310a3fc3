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
    tokens that have this probability together (Holtzman et al., 2020); `min_p` keeps those that
    have at least this share of the greatest probability (Nguyen et al., 2024, "Turning Up the
    Heat: Min-p Sampling for Creative and Coherent LLM Outputs"): few where the model is sure, many
    where it is not. A token must be kept by each of them. Tokens in `skip` (ids) are never chosen.

    `repetition_penalty` divides the logits of tokens that stand there already, where they are
    positive, and multiplies them where they are negative (after Keskar et al., 2019, "CTRL",
    section 4.1, who found 1.2 a good one and divide all: that makes what is unlikely likelier). It
    does not count how often they stand there. What was read counts as what was written: else a text
    that goes on, whose beginning is then read, would go on otherwise than one that is written at
    once. Tokens in `spared` (ids) go free: the end of a sentence stands there after the first one,
    and before every text, and sentences would never end. Words that every sentence needs (`the`)
    are penalised like others: much above 1.2 a model of words leaves them out.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    skip: tuple[int, ...] = ()
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    spared: tuple[int, ...] = ()


def choose(
    logits: Tensor,
    sampling: Sampling,
    generator: torch.Generator | None,
    history: Tensor | None = None,
) -> Tensor:
    """Return the next token (N,) of each row of logits (N, V).

    The generator is asked only where the temperature is above 0. `history` (N, S) holds the tokens
    that stand there already, in any order.
    """
    logits = without(penalised(at_least_float32(logits), sampling, history), sampling.skip)
    if sampling.temperature == 0:
        return logits.argmax(dim=1)
    logits = _keep_top_k(logits, sampling.top_k)
    # So that what is divided by a low temperature is 0 or less.
    logits = logits - logits.amax(dim=1, keepdim=True)
    temperature = min(max(sampling.temperature, COLDEST), HOTTEST)
    probabilities = (logits / temperature).softmax(dim=1)
    probabilities = _keep_min_p(_keep_top_p(probabilities, sampling.top_p), sampling.min_p)
    return probabilities.multinomial(1, generator=generator)[:, 0]


def penalised(logits: Tensor, sampling: Sampling, history: Tensor | None) -> Tensor:
    """Return logits (N, V), smaller where a token stands in `history` (N, S) and is not spared."""
    penalty = sampling.repetition_penalty
    if penalty == 1 or history is None:
        return logits
    before = logits.gather(1, history)
    after = torch.where(before > 0, before / penalty, before * penalty)
    spared = _ids(sampling.spared, logits)
    found = logits.scatter(1, history, after)  # the same number for each time that a token stands
    return found.index_copy(1, spared, logits.index_select(1, spared))


def without(logits: Tensor, skip: tuple[int, ...]) -> Tensor:
    """Return logits, or log-probabilities, (N, V) that leave tokens out."""
    return logits.index_fill(1, _ids(skip, logits), -math.inf) if skip else logits


def _ids(tokens: tuple[int, ...], logits: Tensor) -> Tensor:
    return logits.new_tensor(tokens, dtype=torch.long)


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


def _keep_min_p(probabilities: Tensor, p: float) -> Tensor:
    """Keep what has `p` times the greatest probability; the sum is no matter, here and above."""
    if p == 0:
        return probabilities
    least = p * probabilities.amax(dim=1, keepdim=True)
    return probabilities.masked_fill(probabilities < least, 0.0)
