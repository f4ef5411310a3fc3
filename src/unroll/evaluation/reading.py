"""A text read from its first token to its last, a window at a time, with the state carried on."""

from collections.abc import Iterator

import torch
from torch import Tensor

from unroll.data.batches import rows_at_once
from unroll.models.language_model import LanguageModel
from unroll.models.layers import State


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


def logits(model: LanguageModel, tokens: Tensor, eos: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits (T, V) and what is to be predicted (T,), a window at a time."""
    state: State | None = None
    for read, expected in windows(model, tokens, eos):
        found, state = model(read, state)
        yield found[0], expected
