"""The Mogrifier: input and state change each other before the LSTM reads them.

Melis et al., 2020, "Mogrifier LSTM", equations 1 and 2.
"""

from torch import Tensor, nn

from unroll.models.layers import Cell
from unroll.models.recurrence import Parts, PlainLSTM


class Mogrifier(PlainLSTM):
    """An LSTM whose input and last output gate each other in turn, so many rounds."""

    def __init__(self, input_size: int, hidden_size: int, rounds: int, batch_first: bool) -> None:
        super().__init__(input_size, hidden_size, batch_first=batch_first)
        D, H = input_size, hidden_size
        self.rounds = nn.ModuleList(
            nn.Linear(D, H, bias=False) if i % 2 else nn.Linear(H, D, bias=False)
            for i in range(rounds)
        )

    def read(self, x: Tensor, way: str) -> Tensor:
        """Return the input: what the gates read of it is not known before the step."""
        return x

    def step(self, read: Tensor, state: Parts, way: str) -> Parts:
        """Return h and c after reading x (N, D)."""
        x, (h, c) = read, state
        for i, gate in enumerate(self.rounds):
            if i % 2:
                h = 2 * gate(x).sigmoid() * h
            else:
                x = 2 * gate(h).sigmoid() * x
        return super().step(super().read(x, way), (h, c), way)


def mogrifier(rounds: int) -> Cell:
    """Return what makes a layer of so many rounds."""

    def cell(
        input_size: int, hidden_size: int, batch_first: bool, bidirectional: bool
    ) -> Mogrifier:
        assert not bidirectional
        return Mogrifier(input_size, hidden_size, rounds, batch_first)

    return cell
