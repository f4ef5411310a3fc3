"""Decoders: write a target sequence, symbol by symbol, from a state and a memory.

A decoder differs from the plain one in what it adds to the input of its recurrent layers
and to the input of its affine layer; the loop over time is the same for all.
"""

import math

import torch
from torch import Tensor, nn

from unroll.config import PairsOptions
from unroll.models.encoder import Memory
from unroll.models.layers import Dropout, RecurrentStack, State


class PlainDecoder(nn.Module):
    """Knows of the source only what the state brings (Sutskever et al., 2014)."""

    recurrent_extra = 0  # how many times H the recurrent layers' input is wider
    affine_extra = 0  # how many times H the affine layer's input is wider

    def __init__(self, options: PairsOptions, vocabulary_size: int) -> None:
        super().__init__()
        D, H = options.embedding_size, options.hidden_size
        self.embedding = nn.Embedding(vocabulary_size, D)
        self.dropout = Dropout(options.dropout)
        self.recurrent = RecurrentStack(
            D + self.recurrent_extra * H, H, options.layers, options.cell, options.dropout
        )
        self.affine = nn.Linear(H + self.affine_extra * H, vocabulary_size)

    def forward(self, inputs: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Read inputs (N, T) from `state`.

        Returns:
            The logits (N, T, V) of the symbol after each input, and the state after the last.
        """
        embedded = self.dropout(self.embedding(inputs))
        hidden, state = self.recurrent(self.recurrent_input(embedded, memory), state)
        return self.affine(self.affine_input(self.dropout(hidden), memory)), state

    def recurrent_input(self, embedded: Tensor, memory: Memory) -> Tensor:
        """(N, T, D) → what the recurrent layers read at each step."""
        return embedded

    def affine_input(self, hidden: Tensor, memory: Memory) -> Tensor:
        """(N, T, H) → what the affine layer reads at each step."""
        return hidden


class PeekyDecoder(PlainDecoder):
    """Sees the encoder's last h at every step, in both layers (after Cho et al., 2014)."""

    recurrent_extra = 1
    affine_extra = 1

    def recurrent_input(self, embedded: Tensor, memory: Memory) -> Tensor:
        """(N, T, D) → (N, T, H + D)."""
        return _beside(memory.summary, embedded)

    def affine_input(self, hidden: Tensor, memory: Memory) -> Tensor:
        """(N, T, H) → (N, T, H + H)."""
        return _beside(memory.summary, hidden)


class AttentionDecoder(PlainDecoder):
    """Looks back at every step of the source (Luong et al., 2015, score "dot")."""

    affine_extra = 1

    def affine_input(self, hidden: Tensor, memory: Memory) -> Tensor:
        """(N, T, H) → (N, T, H + H)."""
        context = self.attend(hidden, memory) @ memory.states
        return torch.cat([context, hidden], dim=-1)

    def attend(self, hidden: Tensor, memory: Memory) -> Tensor:
        """Return the weights (N, T, T_source) that each step gives to the source's steps."""
        scores = hidden @ memory.states.transpose(1, 2)
        if memory.present is not None:
            scores = scores.masked_fill(~memory.present[:, None, :], -math.inf)
        return scores.softmax(dim=-1)


DECODERS = {"plain": PlainDecoder, "peeky": PeekyDecoder, "attention": AttentionDecoder}


def _beside(summary: Tensor, x: Tensor) -> Tensor:
    """Put the summary (N, H) before each step of x (N, T, D)."""
    return torch.cat([summary[:, None, :].expand(-1, x.shape[1], -1), x], dim=-1)
