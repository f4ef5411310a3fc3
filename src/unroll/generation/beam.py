"""Beam search: the likeliest answers that are found by keeping a few at each step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from unroll.generation.decoding import GREEDY, Step, allowed
from unroll.generation.sampling import Sampling, penalised, without
from unroll.models.layers import State, at_least_float32

NONE = -torch.inf  # the score of a place that holds no hypothesis


@dataclass(frozen=True)
class Hypotheses:
    """The K best answers to each of N sources, the best first.

    `scores` are the log-probabilities divided by what a length weighs; both are minus infinity
    where fewer than K answers were found. The log-probabilities are those of the model, unless a
    repetition penalty has changed what it finds likely.
    """

    symbols: Tensor  # (N, K, T), filled up after their ends
    log_probabilities: Tensor  # (N, K), of whole answers, natural logarithms
    scores: Tensor  # (N, K)


@torch.inference_mode()
def beam_search(
    step: Step,
    first: Tensor,
    state: State | None,
    length: int,
    width: int,
    length_penalty: float = 0.0,
    end: int | None = None,
    pad: int = 0,
    limits: Tensor | None = None,
    sampling: Sampling = GREEDY,
    history: Tensor | None = None,
) -> Hypotheses:
    """Write at most `length` ≥ 1 symbols after the symbols `first` (N, 1), `width` = K ways.

    `step` and `state` are those of N · K sequences, K for each source, one after another. At each
    step the K likeliest continuations are kept; one that ends is taken out and leaves its place
    empty (Sutskever et al., 2014, section 3.2), so that with a width of 1 this is greedy decoding.
    Answers are ranked by log-probability / ((5 + length) / 6) ** length_penalty (Wu et al., 2016,
    equation 14, without coverage). What has not ended after `length` symbols is cut there; after as
    many as `limits` (N · K,) allow comes the end. Of `sampling` what to skip and the penalty of
    repetitions count, with what stands before `first` as `history` (N, S).
    """
    N, K = len(first), width
    read = first if history is None else torch.cat([history, first], dim=1)
    read = read.repeat_interleave(K, dim=0)
    offsets = torch.arange(N, device=first.device)[:, None] * K
    symbols = first.repeat_interleave(K, dim=0)
    written = first.new_full((N, K, length), pad)
    total = torch.full((N, K), NONE, dtype=torch.float64, device=first.device)
    total[:, 0] = 0.0  # at first all K are the same: one of them counts
    found = Hypotheses(written, torch.full_like(total, NONE), torch.full_like(total, NONE))
    for i in range(length):
        logits, state = step(symbols, state)
        so_far = torch.cat([read, written[:, :, :i].flatten(0, 1)], dim=1)
        last = penalised(at_least_float32(logits[:, -1]), sampling, so_far)
        logs = without(last.log_softmax(dim=1).double(), sampling.skip)
        logs = allowed(logs, i, end, limits)
        V = logs.shape[1]
        total, places = (total[:, :, None] + logs.view(N, K, V)).flatten(1).topk(K, dim=1)
        parents, chosen = places // V, places % V
        written = written.gather(1, parents[..., None].expand(-1, -1, length))
        written[:, :, i] = chosen
        state = tuple(part.index_select(1, (offsets + parents).flatten()) for part in state)
        symbols = chosen.flatten()[:, None]
        if end is not None:
            ended = total.masked_fill(chosen != end, NONE)
            found = _best(found, written, ended, _weight(i + 1, length_penalty))
            total = total.masked_fill(chosen == end, NONE)
            # No symbol makes an answer likelier: these can become no better than this.
            hope = total.amax(dim=1) / _weight(length, length_penalty)
            if bool((hope <= found.scores[:, -1]).all()):
                return found
    return _best(found, written, total, _weight(length, length_penalty))


def _weight(length: int, penalty: float) -> float:
    return float(((5 + length) / 6) ** penalty)


def _best(found: Hypotheses, symbols: Tensor, total: Tensor, weight: float) -> Hypotheses:
    """Return the K best of what was found and of symbols (N, K, T) with these `total`s (N, K)."""
    K = total.shape[1]
    scores, places = torch.cat([found.scores, total / weight], dim=1).topk(K, dim=1)
    every = torch.cat([found.symbols, symbols], dim=1)
    rows = places[..., None].expand(-1, -1, symbols.shape[2])
    logs = torch.cat([found.log_probabilities, total], dim=1).gather(1, places)
    return Hypotheses(every.gather(1, rows), logs, scores)
