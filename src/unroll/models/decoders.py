"""Decoders: write a target sequence, symbol by symbol, from a state and a memory.

A decoder differs from the plain one in what it adds to the input of its recurrent layers
and to the input of its affine layer; the loop over time is the same for all.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unroll.models.encoder import Memory
from unroll.models.layers import Dropout, RecurrentStack, State
from unroll.options import PairsOptions


class Decoded(NamedTuple):
    """What a decoder makes of T inputs.

    `logits` (N, T, V) are those of the symbol after each input, `state` is the one after the last,
    and `weights` (N, T, T_source) say how much each step looked at each step of the source, where
    the decoder has attention.
    """

    logits: Tensor
    state: State
    weights: Tensor | None


class PlainDecoder(nn.Module):
    """Knows of the source only what the state brings (Sutskever et al., 2014)."""

    recurrent_extra = 0  # how many times H the recurrent layers' input is wider
    affine_extra = 0  # how many times H the affine layer's input is wider

    def __init__(self, options: PairsOptions, symbols: int) -> None:
        super().__init__()
        D, H = options.embedding_size, options.hidden_size
        self.embedding = nn.Embedding(symbols, D)
        self.dropout = Dropout(options.dropout)
        self.recurrent = RecurrentStack(
            D + self.recurrent_extra * H, H, options.layers, options.cell, options.dropout
        )
        self.affine = nn.Linear(H + self.affine_extra * H, symbols)

    def forward(self, inputs: Tensor, state: State, memory: Memory) -> Decoded:
        """Read inputs (N, T) from `state`."""
        embedded = self.dropout(self.embedding(inputs))
        hidden, state = self.recurrent(self.recurrent_input(embedded, memory), state)
        features, weights = self.affine_input(self.dropout(hidden), memory)
        return Decoded(self.affine(features), state, weights)

    def recurrent_input(self, embedded: Tensor, memory: Memory) -> Tensor:
        """(N, T, D) → what the recurrent layers read at each step."""
        return embedded

    def affine_input(self, hidden: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """(N, T, H) → what the affine layer reads at each step, and the weights of attention."""
        return hidden, None


class PeekyDecoder(PlainDecoder):
    """Sees the encoder's last h at every step, in both layers (after Cho et al., 2014)."""

    recurrent_extra = 1
    affine_extra = 1

    def recurrent_input(self, embedded: Tensor, memory: Memory) -> Tensor:
        """(N, T, D) → (N, T, H + D)."""
        return _beside(memory.summary, embedded)

    def affine_input(self, hidden: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """(N, T, H) → (N, T, H + H)."""
        return _beside(memory.summary, hidden), None


class AttentionDecoder(PlainDecoder):
    """Looks back at every step of the source (Luong et al., 2015, score "dot")."""

    affine_extra = 1

    def affine_input(self, hidden: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """(N, T, H) → (N, T, H + H), and the weights (N, T, T_source)."""
        scores = hidden @ memory.states.transpose(1, 2)
        if memory.present is not None:
            scores = scores.masked_fill(~memory.present[:, None, :], -math.inf)
        weights = scores.softmax(dim=-1)
        return torch.cat([weights @ memory.states, hidden], dim=-1), weights


DECODERS = {"plain": PlainDecoder, "peeky": PeekyDecoder, "attention": AttentionDecoder}


def _beside(summary: Tensor, x: Tensor) -> Tensor:
    """Put the summary (N, H) before each step of x (N, T, D)."""
    return torch.cat([summary[:, None, :].expand(-1, x.shape[1], -1), x], dim=-1)
