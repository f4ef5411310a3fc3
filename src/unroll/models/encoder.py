"""The encoder: reads a source sequence, leaves a state and a memory of every step."""

from dataclasses import dataclass

from torch import Tensor, nn

from unroll.config import PairsOptions
from unroll.models import padding
from unroll.models.layers import Dropout, RecurrentStack, State


@dataclass(frozen=True)
class Memory:
    """What a decoder may look at: the encoder's top layer.

    `states` (N, T, H) are its outputs in the order in which the source was read,
    `summary` (N, H) is its last h, and `present` (N, T) is false at blanks that count as
    not there (None where all are).
    """

    states: Tensor
    summary: Tensor
    present: Tensor | None


class Encoder(nn.Module):
    """Embedding and recurrent layers over the source (Sutskever et al., 2014)."""

    def __init__(self, options: PairsOptions, vocabulary_size: int, blank: int) -> None:
        super().__init__()
        self.reverse_source, self.blank = options.reverse_source, blank
        self.masked = options.padding == "masked"
        self.embedding = nn.Embedding(vocabulary_size, options.embedding_size)
        self.dropout = Dropout(options.dropout)
        self.recurrent = RecurrentStack(
            options.embedding_size,
            options.hidden_size,
            options.layers,
            options.cell,
            options.dropout,
            bidirectional=options.bidirectional,
        )

    def forward(self, source: Tensor) -> tuple[Memory, State]:
        """Read sources (N, T).

        Returns:
            The memory, and the state after the last symbol: tensors (layers, N, H).
        """
        lengths = padding.text_lengths(source, self.blank) if self.masked else None
        if self.reverse_source:
            source = padding.reverse(source, lengths)
        outputs, state = self.recurrent(self.dropout(self.embedding(source)), lengths=lengths)
        present = None if lengths is None else padding.before(lengths, source.shape[1])
        return Memory(outputs, state[0][-1], present), state
