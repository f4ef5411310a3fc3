"""Decoders: write a target sequence, symbol by symbol, from a state and a memory.

A decoder differs from the plain one in what it adds to the input of its recurrent layers
and to the input of its affine layer; the loop over time is the same for all.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unroll.models.attention import ATTENTIONS
from unroll.models.dropout import Dropout
from unroll.models.encoder import Memory
from unroll.models.layers import CELLS, EMBEDDINGS, RecurrentStack, State
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


class Decoder(nn.Module, ABC):
    """What every decoder can."""

    def start(self, state: State, memory: Memory) -> State:
        """Return the state before the first step, from what the bridge brings."""
        return state

    @abstractmethod
    def forward(self, inputs: Tensor, state: State, memory: Memory) -> Decoded:
        """Read inputs (N, T) from `state`."""


class PlainDecoder(Decoder):
    """Knows of the source only what the state brings (Sutskever et al., 2014)."""

    recurrent_extra = 0  # how many times H the recurrent layers' input is wider
    affine_extra = 0  # how many times H the affine layer's input is wider

    def __init__(self, options: PairsOptions, symbols: int) -> None:
        super().__init__()
        self.embedding = EMBEDDINGS[options.embedding](symbols, options.embedding_size)
        D, H = self.embedding.embedding_dim, options.hidden_size
        self.dropout = Dropout(options.dropout)
        self.recurrent = RecurrentStack(
            D + self.recurrent_extra * H, H, options.layers, CELLS[options.cell], options.dropout
        )
        self.affine = nn.Linear(H + self.affine_extra * H, symbols)

    def forward(self, inputs: Tensor, state: State, memory: Memory) -> Decoded:
        """Read inputs (N, T) from `state`."""
        embedded, before = self.dropout(self.embedding(inputs)), state[0][-1]
        hidden, state = self.recurrent(self.recurrent_input(embedded, memory), state)
        features, weights = self.affine_input(self.dropout(hidden), before, memory)
        return Decoded(self.affine(features), state, weights)

    def recurrent_input(self, embedded: Tensor, memory: Memory) -> Tensor:
        """(N, T, D) → what the recurrent layers read at each step."""
        return embedded

    def affine_input(
        self, hidden: Tensor, before: Tensor, memory: Memory
    ) -> tuple[Tensor, Tensor | None]:
        """(N, T, H) → what the affine layer reads at each step, and the weights of attention.

        `before` (N, H) is the h of the top layer before the first of these steps.
        """
        return hidden, None


class PeekyDecoder(PlainDecoder):
    """Sees the encoder's last h at every step, in both layers (after Cho et al., 2014)."""

    recurrent_extra = 1
    affine_extra = 1

    def recurrent_input(self, embedded: Tensor, memory: Memory) -> Tensor:
        """(N, T, D) → (N, T, H + D)."""
        return _beside(memory.summary, embedded)

    def affine_input(
        self, hidden: Tensor, before: Tensor, memory: Memory
    ) -> tuple[Tensor, Tensor | None]:
        """(N, T, H) → (N, T, H + H)."""
        return _beside(memory.summary, hidden), None


class AttentionDecoder(PlainDecoder):
    """Looks back at every step of the source (Luong et al., 2015, section 3.1).

    It looks for what the state of the step asks for, or that of the step before, as Bahdanau et
    al., 2015, do; its context goes to the affine layer in either case.
    """

    affine_extra = 1

    def __init__(self, options: PairsOptions, symbols: int) -> None:
        super().__init__(options, symbols)
        self.attention = ATTENTIONS[options.attention](options.hidden_size)
        self.queries = QUERIES[options.attention_query]

    def affine_input(
        self, hidden: Tensor, before: Tensor, memory: Memory
    ) -> tuple[Tensor, Tensor | None]:
        """(N, T, H) → (N, T, H + H), and the weights (N, T, T_source)."""
        context, weights = self.attention(self.queries(hidden, before), memory)
        return torch.cat([context, hidden], dim=-1), weights


class InputFeedingDecoder(AttentionDecoder):
    """Reads at each step what it made of context and h at the step before.

    After Luong et al., 2015, equation 5 and section 3.3. The state has one more part, (1, N, H).
    """

    recurrent_extra = 1
    affine_extra = 0

    def __init__(self, options: PairsOptions, symbols: int) -> None:
        super().__init__(options, symbols)
        self.combine = nn.Linear(2 * options.hidden_size, options.hidden_size, bias=False)

    def start(self, state: State, memory: Memory) -> State:
        """Return the state, nothing being fed at first."""
        return (*state, torch.zeros_like(state[0][-1:]))

    def forward(self, inputs: Tensor, state: State, memory: Memory) -> Decoded:
        """Read inputs (N, T) from `state`, one after another."""
        *inner, fed = state
        read, looked = [], []
        for embedded in self.dropout(self.embedding(inputs)).split(1, dim=1):
            before, steps = inner[0][-1], _beside(fed[0], embedded)
            hidden, after = self.recurrent(steps, tuple(inner))
            both, weights = self.affine_input(self.dropout(hidden), before, memory)
            made = self.combine(both).tanh()
            assert weights is not None
            inner, fed = list(after), made.transpose(0, 1)
            read.append(made)
            looked.append(weights)
        features = self.dropout(torch.cat(read, dim=1))
        return Decoded(self.affine(features), (*inner, fed), torch.cat(looked, dim=1))


class InStepDecoder(Decoder):
    """Answers while it still listens: a symbol after each symbol of the source.

    So a recurrent net without an encoder would translate: its n-th symbol rests on the first n of
    the source, whatever comes after. The state is the number of the step, (1, N, 1).
    """

    def __init__(self, options: PairsOptions, symbols: int) -> None:
        super().__init__()
        self.dropout = Dropout(options.dropout)
        self.affine = nn.Linear(options.hidden_size, symbols)

    def start(self, state: State, memory: Memory) -> State:
        """Return step 0."""
        return (torch.zeros_like(state[0][:1, :, :1], dtype=torch.long),)

    def forward(self, inputs: Tensor, state: State, memory: Memory) -> Decoded:
        """Answer T steps of inputs (N, T), which are not looked at, from the step of `state`."""
        T, steps = inputs.shape[1], memory.states.shape[1]
        at = state[0][0] + torch.arange(T, device=inputs.device)
        read = memory.states.gather(
            1, at.clamp(max=steps - 1)[..., None].expand(-1, -1, memory.states.shape[2])
        )
        heard = read.masked_fill((at >= steps)[..., None], 0.0)  # after its end: silence
        return Decoded(self.affine(self.dropout(heard)), (state[0] + T,), None)


DECODERS: dict[str, Callable[[PairsOptions, int], Decoder]] = {
    "plain": PlainDecoder,
    "peeky": PeekyDecoder,
    "attention": AttentionDecoder,
    "input_feeding": InputFeedingDecoder,
    "in_step": InStepDecoder,
}


def _before(hidden: Tensor, before: Tensor) -> Tensor:
    """Return the h (N, T, H) before each step: that before the first one, then all but the last."""
    return torch.cat([before[:, None], hidden[:, :-1]], dim=1)


# What attention looks for: from the h of these steps and the one before them.
QUERIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "now": lambda hidden, before: hidden,
    "before": _before,
}


def _beside(summary: Tensor, x: Tensor) -> Tensor:
    """Put the summary (N, H) before each step of x (N, T, D)."""
    return torch.cat([summary[:, None, :].expand(-1, x.shape[1], -1), x], dim=-1)
