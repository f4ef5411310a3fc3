"""The encoder–decoder model."""

import torch
from torch import Tensor, nn

from unroll.config import PairsOptions
from unroll.models.decoders import DECODERS
from unroll.models.encoder import Encoder, Memory
from unroll.models.layers import State


class Seq2Seq(nn.Module):
    """An encoder, a bridge and a decoder.

    The bridge says what of the encoder's state the decoder starts from: `state` is all
    of it; `hidden` is h alone, with c = 0, as in the book. They are different models.
    """

    def __init__(self, options: PairsOptions, vocabulary_size: int, blank: int) -> None:
        super().__init__()
        self.bridge = options.bridge
        self.encoder = Encoder(options, vocabulary_size, blank)
        self.decoder = DECODERS[options.decoder](options, vocabulary_size)

    def encode(self, source: Tensor) -> tuple[Memory, State]:
        """Read sources (N, T); return the memory and the decoder's first state."""
        memory, state = self.encoder(source)
        if self.bridge == "hidden":
            state = (state[0], *(torch.zeros_like(part) for part in state[1:]))
        return memory, state

    def decode(self, inputs: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Read inputs (N, T) from `state`; return the logits (N, T, V) and the next state."""
        logits, state = self.decoder(inputs, state, memory)
        return logits, state

    def forward(self, source: Tensor, inputs: Tensor) -> Tensor:
        """Return the logits (N, T', V) with teacher forcing.

        `source` is (N, T); `inputs` (N, T') are the targets but for their last symbol.
        """
        memory, state = self.encode(source)
        return self.decode(inputs, state, memory)[0]
