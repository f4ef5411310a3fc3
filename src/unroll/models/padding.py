"""What the filling at the end of a sequence means to a model.

`padding: plain` treats the symbol that fills as one more symbol, as the book does: every sequence
is as long as the longest. `padding: masked` reads and scores sequences as if the filling were not
there: it counts in no loss, no accuracy, no attention, and the encoder's state passes it by. A
target ends with its end symbol, the sign by which a decoder says that its answer is complete.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Padding(ABC):
    """Knows what counts; all who must know ask it."""

    @abstractmethod
    def width(self, lengths: Tensor, widest: int) -> int:
        """Return how many steps of a batch with these lengths (N,) are looked at."""

    @abstractmethod
    def lengths(self, lengths: Tensor) -> Tensor | None:
        """Return the lengths (N,) that a model must know of; None where all steps are read."""

    @abstractmethod
    def counts(self, lengths: Tensor, steps: int) -> Tensor:
        """Return which steps (N, steps) count in loss and accuracy."""

    @abstractmethod
    def answered(self, symbols: Tensor, end: int) -> Tensor:
        """Return which symbols of answers (N, T) belong to them, as a mask."""

    @abstractmethod
    def end(self, end: int) -> int | None:
        """Return the symbol after which nothing more is written; None where none ends it."""


class PlainPadding(Padding):
    """All steps count."""

    def width(self, lengths: Tensor, widest: int) -> int:
        """All of them."""
        return widest

    def lengths(self, lengths: Tensor) -> Tensor | None:
        """None: all steps are read."""
        return None

    def counts(self, lengths: Tensor, steps: int) -> Tensor:
        """All of them."""
        return lengths.new_ones((len(lengths), steps), dtype=torch.bool)

    def answered(self, symbols: Tensor, end: int) -> Tensor:
        """All of them."""
        return torch.ones_like(symbols, dtype=torch.bool)

    def end(self, end: int) -> int | None:
        """None: an answer is as long as the longest."""
        return None


class MaskedPadding(Padding):
    """The steps before the length of each sequence count."""

    def width(self, lengths: Tensor, widest: int) -> int:
        """Those of the longest sequence."""
        return int(lengths.max())

    def lengths(self, lengths: Tensor) -> Tensor | None:
        """As they are."""
        return lengths

    def counts(self, lengths: Tensor, steps: int) -> Tensor:
        """Those before the end of each sequence."""
        return before(lengths, steps)

    def answered(self, symbols: Tensor, end: int) -> Tensor:
        """Those up to the first end symbol, it among them."""
        ends = symbols == end
        return (ends.cumsum(dim=1) - ends.long()) == 0

    def end(self, end: int) -> int | None:
        """The end symbol."""
        return end


PADDINGS: dict[str, Padding] = {"plain": PlainPadding(), "masked": MaskedPadding()}


def before(lengths: Tensor, steps: int) -> Tensor:
    """Return a mask (N, steps), true at the steps before each of the lengths (N,)."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def doubled(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return sequences (N, T) twice in a row: (N, 2 T); with `lengths` (N,), filled at the end."""
    if lengths is None:
        return torch.cat([x, x], dim=1)
    T, length = x.shape[1], lengths[:, None]
    steps = torch.arange(2 * T, device=x.device).expand(len(x), -1)
    return x.gather(1, torch.where(steps < 2 * length, steps % length, T - 1))


def reverse(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return sequences (N, T, …) in reverse; with `lengths` (N,), the filling stays at the end."""
    if lengths is None:
        return x.flip(1)
    length, steps = lengths.to(x.device)[:, None], torch.arange(x.shape[1], device=x.device)
    source = torch.where(steps < length, length - 1 - steps, steps)
    return x.gather(1, source.view(*source.shape, *[1] * (x.dim() - 2)).expand_as(x))
