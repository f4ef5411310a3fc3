"""What each test item brought, seed by seed: the ground of intervals."""

from pathlib import Path

import numpy as np

from unroll.data.files import read_arrays, write_arrays
from unroll.errors import DataError
from unroll.evaluation.statistics import log_ratio

NAME = "items.safetensors"

# On the Penn Treebank the error of a perplexity grows with the length of a run up to about 80.
LONGEST_RUN = 80
FEWEST_RUNS = 30


def write_items(folder: Path, items: dict[str, np.ndarray]) -> None:
    """Write the items of a seed's evaluation.

    Of pairs: `right` (I,), 0 or 1. Of a corpus: `losses` (I,) and `counts` (I,), the cross
    entropy in nats and the tokens of each sentence.
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
    if fault := _fault(items):
        raise DataError(f"{folder / NAME}: {fault}; {remedy}")
    return items


def _fault(items: dict[str, np.ndarray]) -> str | None:
    """Say what keeps items from being counted."""
    if len({array.shape[:1] for array in items.values()}) > 1:
        return "the arrays are of different numbers of items"
    if "right" in items:
        right = items["right"]
        if right.ndim != 1 or not right.size or not np.isin(right, (0, 1)).all():
            return "right does not hold 0 or 1 of each item"
        return None
    losses, counts = items["losses"], items["counts"]
    if losses.ndim != 1 or not losses.size or losses.dtype.kind != "f":
        return "losses does not hold a number of each sentence"
    if counts.ndim != 1 or counts.dtype.kind not in "iu" or not (counts > 0).all():
        return "counts does not hold the number of tokens of each sentence"
    return None if np.isfinite(losses).all() else "a loss is not a finite number"


def outcomes(seeds: list[dict[str, np.ndarray]]) -> np.ndarray:
    """Return outcomes (S, I), higher is better for pairs, lower for a corpus.

    Their mean is the share of right answers, or the mean cross entropy of a token: the
    logarithm of the perplexity. An item of a corpus is a run of sentences: those of one article
    are alike, and counted one by one they would make the text seem longer than it is.
    """
    if "right" in seeds[0]:
        return np.stack([items["right"] for items in seeds]).astype(float)
    losses, counts = np.stack([items["losses"] for items in seeds]), seeds[0]["counts"]
    starts = np.arange(0, len(counts), run_length(len(counts)))
    return log_ratio(np.add.reduceat(losses, starts, axis=1), np.add.reduceat(counts, starts))


def run_length(sentences: int) -> int:
    """Return how many sentences in a row are one item: LONGEST_RUN, fewer of a short text."""
    return min(LONGEST_RUN, max(1, sentences // FEWEST_RUNS))


def sentences(losses: np.ndarray, tokens: np.ndarray, eos: int) -> dict[str, np.ndarray]:
    """Return the sum of losses and the number of tokens of each sentence of tokens (T,)."""
    number = np.concatenate([[0], np.cumsum(tokens == eos)[:-1]])
    counts = np.bincount(number)
    return {"losses": np.bincount(number, weights=losses), "counts": counts.astype(np.int32)}
