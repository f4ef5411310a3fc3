"""Named seeded generators: the only source of randomness in the project.

Every use of randomness asks for a generator by a seed and a name
(`torch_generator(seed, "init", "encoder.embedding.weight")`). Two uses never share a
stream, so that adding one changes none of the others, and the same seed and name give
the same numbers in every variant.
"""

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, *names: str) -> int:
    """Return a 63-bit seed that is determined by `seed` and `names`."""
    text = json.dumps([seed, *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *names: str) -> np.random.Generator:
    """Return a NumPy generator of its own for this seed and name."""
    return np.random.default_rng(derive(seed, *names))


def torch_generator(seed: int, *names: str, device: str = "cpu") -> "torch.Generator":
    """Return a PyTorch generator of its own for this seed and name, on `device`."""
    import torch

    return torch.Generator(device=device).manual_seed(derive(seed, *names))
