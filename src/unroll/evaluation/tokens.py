"""How likely each token of the test split was to a model: to compare models token by token."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unroll.errors import DataError
from unroll.storage.files import read_arrays, write_arrays

NAME = "tokens.safetensors"


def write_tokens(folder: Path, tokens: Mapping[str, np.ndarray]) -> None:
    """Write the log-probabilities (T,) in nats of a seed, by metric, to three digits (float16)."""
    write_arrays(folder / NAME, {name: of.astype(np.float16) for name, of in tokens.items()})


def read_tokens(folder: Path) -> dict[str, np.ndarray]:
    """Return what `write_tokens` wrote, by metric: `perplexity`, `perplexity_cache`.

    Raises:
        DataError: the file is missing or not of that form.
    """
    path = folder / NAME
    tokens = read_arrays(path)
    if not tokens or any(of.ndim != 1 or of.dtype != np.float16 for of in tokens.values()):
        raise DataError(f"{path} holds no log-probabilities of tokens")
    return {name: of.astype(float) for name, of in tokens.items()}
