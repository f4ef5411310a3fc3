"""Batches of sequences of like length, in an order that is the same for all seeds but its contents.

Sorted by length, sequences of one batch differ little, and padding costs little. Which shapes come
one after another is drawn once for all seeds of a variant; which of the sequences of one length
stand where is the seed's. So a step costs the same in every seed, and seeds can be trained as one
program. Sequences that are all of one length come in batches of a random order, as usual.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from unroll.seeds import torch_generator

LARGEST = 10_000_000  # tokens × vocabulary: numbers in the logits of what is scored at once


def batches(lengths: Sequence[np.ndarray], batch_size: int, seed: int, epoch: int) -> list[Tensor]:
    """Return the examples of each batch of an epoch: tensors of `batch_size` numbers from 0.

    `lengths` holds the lengths (N,) of each side. Every epoch leaves out, at random, the few
    examples that would not fill a batch. The order is a function of seed and epoch alone: nothing
    of it need be kept to go on in the middle of an epoch.
    """
    (count,) = {len(side) for side in lengths}
    batch_size = min(batch_size, count)
    own = torch_generator(seed, "order", str(epoch))
    shared = torch_generator(0, "shapes", str(epoch))
    shuffled = torch.randperm(count, generator=own)
    rank = np.lexsort([side[shuffled.numpy()] for side in reversed(lengths)])  # stable
    by_length = shuffled[torch.from_numpy(rank)]
    steps = count // batch_size
    kept = torch.randperm(count, generator=shared)[: steps * batch_size].sort().values
    order = torch.randperm(steps, generator=shared)
    full = by_length[kept].view(steps, batch_size)
    return [full[i] for i in order.tolist()]


def drawn(count: int, batch_size: int, seed: int, epoch: int) -> Tensor:
    """Return as many batches as an epoch has, each drawn anew from all of `count` examples.

    So some examples come twice in an epoch and others not at all: (steps, batch_size).
    """
    generator = torch_generator(seed, "drawn", str(epoch))
    return torch.randint(count, (count // batch_size, batch_size), generator=generator)


def rows_at_once(width: int, symbols: int) -> int:
    """Return how many sequences of this width may be answered together: logits are large."""
    return max(1, LARGEST // (width * symbols))
