"""The encoder: reads a source sequence, leaves a state and a memory of every step."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unroll.models import padding
from unroll.models.dropout import Dropout
from unroll.models.layers import CELLS, EMBEDDINGS, RecurrentStack, State
from unroll.options import EncoderOptions


@dataclass(frozen=True)
class Memory:
    """What stands of a source after it was read: the encoder's top layer.

    `states` (N, T, H) are its outputs in the order in which the source was read, `summary` (N, H)
    is its last h, and `present` (N, T) is false where a sequence has ended (None where none has).
    `positions` (N, T) says which symbol of the source was read at each step.
    """

    states: Tensor
    summary: Tensor
    present: Tensor | None
    positions: Tensor

    def repeated(self, times: int) -> "Memory":
        """Return the memory of each source so many times, one after another."""
        present = self.present
        return Memory(
            self.states.repeat_interleave(times, dim=0),
            self.summary.repeat_interleave(times, dim=0),
            None if present is None else present.repeat_interleave(times, dim=0),
            self.positions.repeat_interleave(times, dim=0),
        )


class Encoder(nn.Module):
    """Embedding and recurrent layers over the source (Sutskever et al., 2014)."""

    def __init__(self, options: EncoderOptions, symbols: int) -> None:
        super().__init__()
        self.reverse_source, self.double_source = options.reverse_source, options.double_source
        self.embedding = EMBEDDINGS[options.embedding](symbols, options.embedding_size)
        self.dropout = Dropout(options.dropout)
        self.recurrent = RecurrentStack(
            self.embedding.embedding_dim,
            options.hidden_size,
            options.layers,
            CELLS[options.cell],
            options.dropout,
            bidirectional=options.bidirectional,
        )

    def forward(self, source: Tensor, lengths: Tensor | None = None) -> tuple[Memory, State]:
        """Read sources (N, T): all steps, or those before `lengths` (N,), wherever these lie.

        With `double_source` it reads them twice, in 2 T steps (Zaremba and Sutskever, 2014).

        Returns:
            The memory, and the state after the last symbol: tensors (layers, N, H).
        """
        positions = torch.arange(source.shape[1], device=source.device).expand_as(source)
        # Packing wants the lengths on the CPU, masks want them where the source is.
        beside = None if lengths is None else lengths.to(source.device)
        if self.double_source:
            source, positions = (padding.doubled(x, beside) for x in (source, positions))
            lengths, beside = (None if x is None else 2 * x for x in (lengths, beside))
        if self.reverse_source:
            source, positions = (padding.reverse(x, beside) for x in (source, positions))
        outputs, state = self.recurrent(self.dropout(self.embedding(source)), lengths=lengths)
        present = None if beside is None else padding.before(beside, source.shape[1])
        return Memory(outputs, state[0][-1], present, positions), state
