"""Examples as a model reads them: sequences no wider than what counts of them, or pictures."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from unroll.data.pictures import Pictures
from unroll.data.sequences import Sequences
from unroll.models.padding import Padding

POINTS = 2**18  # of pictures that are read at once: 256 of 32 × 32, 4 of 256 × 256


class Side:
    """The N sequences of one side of a split: sources, or targets."""

    def __init__(self, sequences: Sequences, padding: Padding, device: str) -> None:
        self.padding, self.device = padding, device
        self.ids = on(device, sequences.ids)
        self.lengths = torch.as_tensor(np.array(sequences.lengths)).long()

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def order_by(self) -> np.ndarray:
        """The lengths (N,) by which batches of like length are made."""
        known = self.padding.lengths(self.lengths)
        return np.zeros(len(self), int) if known is None else known.numpy()

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ids (n, T) of n sequences, T as padding has it, and their lengths (n,)."""
        lengths = self.lengths[rows]
        width = self.padding.width(lengths, self.ids.shape[1])
        return self.ids[rows.to(self.device), :width].long(), lengths

    def read(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the ids (n, T) of n sequences, and the lengths (n,) that a model must know."""
        ids, lengths = self.batch(rows)
        return ids, self.padding.lengths(lengths)

    def parts(self, at_once: int) -> Iterator[Tensor]:
        """Yield the rows of all sequences, those of like length together."""
        yield from torch.from_numpy(np.argsort(self.order_by, kind="stable")).split(at_once)


class PictureSide(Side):
    """The N pictures that are the sources of a split."""

    def __init__(self, pictures: Pictures, padding: Padding, device: str) -> None:
        self.padding, self.device = padding, device
        self.ids = on(device, pictures.pixels)
        self.shown = torch.as_tensor(np.array(pictures.rows)).long()
        self.lengths = torch.ones(len(pictures), dtype=torch.long)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the bytes (n, 3, S, S) of n pictures, and that each is one thing to read."""
        return self.ids[self.shown[rows].to(self.device)], self.lengths[rows]

    def read(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the bytes (n, 3, S, S) of n pictures; there are no lengths to know of."""
        return self.batch(rows)[0], None

    def parts(self, at_once: int) -> Iterator[Tensor]:
        """Yield the rows of all pictures, so few at once that all they become is in memory."""
        return super().parts(max(1, min(at_once, POINTS // self.ids.shape[-1] ** 2)))


def side_of(sources: Sequences | Pictures, padding: Padding, device: str) -> Side:
    """Return sources as a model reads them."""
    kind = PictureSide if isinstance(sources, Pictures) else Side
    return kind(sources, padding, device)  # type: ignore[arg-type]


def on(device: str, array: np.ndarray) -> Tensor:
    """Return an array as a tensor: mapped as it is on a CPU, copied to a GPU."""
    return torch.as_tensor(array).to(device)
