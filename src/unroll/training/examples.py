"""Training on examples that can come in any order: pairs, and labelled sequences."""

import numpy as np
import torch
from torch import Tensor

from unroll.data.sequences import Sequences
from unroll.models.padding import Padding
from unroll.training.objective import on

IGNORED = -100  # the target that cross_entropy leaves out


class Side:
    """The sequences of one side of a split, from which batches are taken."""

    def __init__(self, sequences: Sequences, padding: Padding, device: str) -> None:
        self.padding, self.device = padding, device
        self.ids = on(device, sequences.ids)
        self.lengths = torch.as_tensor(np.array(sequences.lengths)).long()

    def order_by(self) -> np.ndarray:
        """Return the lengths (N,) by which batches of like length are made."""
        known = self.padding.lengths(self.lengths)
        return np.zeros(len(self.lengths), int) if known is None else known.numpy()

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ids (N, T) of some sequences, T as padding has it, and their lengths (N,)."""
        lengths = self.lengths[rows]
        width = self.padding.width(lengths, self.ids.shape[1])
        return self.ids[rows.to(self.device), :width].long(), lengths
