"""A text read from its first token to its last, a window at a time, with the state carried on.

It is one stream. In several, side by side, a large model reads it many times faster; then each
stream begins with the words before its own, which are read and not predicted, so that its state
is, but for what a model forgets, that of the one stream.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from unroll.data.batches import rows_at_once
from unroll.models.language_model import LanguageModel
from unroll.models.layers import State, at_least_float32

WARM_UP = 500  # words that a stream reads before those that it predicts


def windows(
    model: LanguageModel, tokens: Tensor, eos: int, length: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what is read (1, T) and what is to be predicted (T,), `length` tokens at a time."""
    device, last = model.affine.weight.device, torch.tensor([eos])
    for part in tokens.split(length or rows_at_once(1, model.affine.out_features)):
        expected = part.long().to(device)
        yield torch.cat([last.to(device), expected[:-1]])[None], expected
        last = expected[-1:]


def streams(tokens: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return what is read and what is to be predicted (N, T), of tokens in `count` equal streams.

    Of fewer tokens than streams N is smaller; what is left over at the end is not read.
    """
    N = min(count, len(tokens) - 1)
    length = (len(tokens) - 1) // N
    read, expected = (tokens[first : first + N * length].view(N, length) for first in (0, 1))
    return read, expected


def outputs(
    model: LanguageModel, tokens: Tensor, eos: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield outputs of the top layer (1, M, H), what is to be predicted (M,) and its place (M,).

    M tokens at a time, in as many streams as the model's `evaluation_batch_size`: fewer of a text
    that is short. Places are numbers of tokens from 0, all of which come once.
    """
    device, T = model.affine.weight.device, len(tokens)
    N = min(model.evaluation_batch_size, max(1, T // WARM_UP))
    length = -(-T // N)
    first = length * torch.arange(N)[:, None]  # the place at which a stream begins
    at_once = rows_at_once(N, model.affine.out_features)
    before = torch.arange(-WARM_UP, 0).split(at_once) if N > 1 else ()
    state: State | None = None
    for steps in (*before, *torch.arange(length).split(at_once)):
        places = (first + steps).clamp(0, T - 1)
        read = tokens[(places - 1).clamp_min(0)].long().to(device)
        read = read.masked_fill((places == 0).to(device), eos)  # nothing stands before the first
        found, state = model.features(read, state)
        if steps[-1] == -1:  # the first stream has read what is not there
            state = tuple(part.index_fill(1, torch.tensor([0], device=device), 0) for part in state)
        if steps[0] >= 0:
            here = (first + steps < T).flatten().nonzero()[:, 0]  # the last stream may be shorter
            place = places.flatten()[here]
            yield found.flatten(0, 1)[here.to(device)][None], tokens[place].long().to(device), place


def of_tokens(
    model: LanguageModel, tokens: Tensor, eos: int, value: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return a value of each token (…, T), in float64 on the CPU.

    `value` has it (…, M) of logits (M, V), in float32 at least, and what was to be predicted (M,).
    """
    parts, order = [], []
    for found, expected, places in outputs(model, tokens, eos):
        logits = at_least_float32(model.logits(found)[0])
        parts.append(value(logits, expected).cpu().double())
        order.append(places)
    return torch.cat(parts, dim=-1)[..., torch.cat(order).argsort()]
