"""What each test item brought, seed by seed: the ground of intervals."""

from pathlib import Path

import numpy as np

from unroll.data.files import read_arrays, write_arrays
from unroll.errors import DataError
from unroll.evaluation.statistics import log_ratio

NAME = "items.safetensors"


def write_items(folder: Path, items: dict[str, np.ndarray]) -> None:
    """Write the items of a seed's evaluation.

    Of pairs: `right` (I,), 0 or 1, `confidence` (I,) and `answers` (I, T). Of a corpus:
    `losses` (I,) and `counts` (I,), the cross entropy in nats and the tokens of each sentence.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / NAME, items)


def read_items(folder: Path, remedy: str) -> dict[str, np.ndarray]:
    """Return what `write_items` wrote.

    Raises:
        DataError: the file is missing or not of that form.
    """
    items = read_arrays(folder / NAME, remedy)
    if not {"right"} <= items.keys() and not {"losses", "counts"} <= items.keys():
        raise DataError(f"{folder / NAME} holds {', '.join(items)}; {remedy}")
    return items


def outcomes(seeds: list[dict[str, np.ndarray]]) -> np.ndarray:
    """Return outcomes (S, I), higher is better for pairs, lower for a corpus.

    Their mean is the share of right answers, or the mean cross entropy of a token: the
    logarithm of the perplexity.
    """
    if "right" in seeds[0]:
        return np.stack([items["right"] for items in seeds]).astype(float)
    return log_ratio(np.stack([items["losses"] for items in seeds]), seeds[0]["counts"])


def sentences(losses: np.ndarray, tokens: np.ndarray, eos: int) -> dict[str, np.ndarray]:
    """Return the sum of losses and the number of tokens of each sentence of tokens (T,)."""
    number = np.concatenate([[0], np.cumsum(tokens == eos)[:-1]])
    counts = np.bincount(number)
    return {"losses": np.bincount(number, weights=losses), "counts": counts.astype(np.int32)}
