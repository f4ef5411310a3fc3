"""What each test item brought, metric by metric and seed by seed: the ground of intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unroll.errors import DataError
from unroll.storage.files import read_arrays, write_arrays

NAME = "items.safetensors"
WEIGHTS = ".weights"  # how the name of an array of weights ends


@dataclass(frozen=True)
class Item:
    """What the items (I,) brought to one metric, on the scale on which it is compared.

    With `weights` (I,) the metric is the sum of the values over the sum of the weights: the loss of
    a text over its tokens. Without, it is their mean.
    """

    values: np.ndarray
    weights: np.ndarray | None = None


Items = Mapping[str, Item]  # by the metric's name: exact_match


def write_items(folder: Path, items: Items) -> None:
    """Write the items of a seed's evaluation."""
    arrays = {name: item.values for name, item in items.items()}
    arrays |= {n + WEIGHTS: item.weights for n, item in items.items() if item.weights is not None}
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / NAME, arrays)


def read_items(folder: Path) -> dict[str, Item]:
    """Return what `write_items` wrote.

    Raises:
        DataError: the file is missing or not of that form.
    """
    path = folder / NAME
    arrays = read_arrays(path)
    items = {
        name: Item(values, arrays.get(name + WEIGHTS))
        for name, values in arrays.items()
        if not name.endswith(WEIGHTS)
    }
    if not items or any(
        n.endswith(WEIGHTS) and n.removesuffix(WEIGHTS) not in items for n in arrays
    ):
        raise DataError(f"{path} holds {', '.join(arrays) or 'nothing'}")
    for name, item in items.items():
        if fault := _fault(item):
            raise DataError(f"{path}: {name} {fault}")
    return items


def _fault(item: Item) -> str | None:
    """Say what keeps items from being counted."""
    values, weights = item.values, item.weights
    if values.ndim != 1 or not values.size or values.dtype.kind not in "iuf":
        return "does not hold a number of each item"
    if not np.isfinite(values).all():
        return "holds what is not a finite number"
    if weights is None:
        return None
    fits = weights.shape == values.shape and weights.dtype.kind in "iu" and (weights > 0).all()
    return None if fits else "has no weight for each item"


def check_alike(folder: Path, seeds: Sequence[Items], known: Sequence[str]) -> None:
    """Check that seeds have the same items, of metrics that are known; the first of these decides.

    Raises:
        DataError: they do not: nothing can be said of them together.
    """
    first = seeds[0]
    for items in seeds:
        if not {known[0]} <= items.keys() <= set(known):
            raise DataError(f"{folder} holds items of {', '.join(items)}")
        if items.keys() != first.keys() or not all(_alike(items[n], first[n]) for n in items):
            raise DataError(f"{folder} does not hold the same items for each seed")


def _alike(one: Item, other: Item) -> bool:
    if one.weights is None or other.weights is None:
        return one.weights is other.weights and one.values.shape == other.values.shape
    return np.array_equal(one.weights, other.weights)


def outcomes(seeds: Sequence[Item]) -> np.ndarray:
    """Return outcomes (S, I) of the same items with several seeds; their mean is the metric."""
    values = np.stack([item.values for item in seeds]).astype(float)
    weights = seeds[0].weights
    return values if weights is None else log_ratio(values, weights)


def log_ratio(losses: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return outcomes (S, I) whose mean is the mean loss of a token, from sums (S, I) of losses.

    Items are texts of `counts` (I,) tokens, so the mean is a ratio; each item is given
    its linear part in it (Cochran, 1977, "Sampling Techniques", chapter 6).
    """
    ratio = losses.sum(axis=1, keepdims=True) / counts.sum()
    linear: np.ndarray = ratio + (losses - ratio * counts) / counts.mean()
    return linear


def influences(counts: np.ndarray, measure: Callable[[np.ndarray], float]) -> np.ndarray:
    """Return what each of N items brought to a measure that is computed from sums of counts.

    Of counts (N, C) the measure is that of their sum (C,), and no mean over items. An item is given
    its influence, by leaving it out (the jackknife: Efron, 1982, "The Jackknife, the Bootstrap and
    Other Resampling Plans", chapter 3). The mean of these values (N,) is the measure itself, and
    their spread says how far it depends on which items were drawn.
    """
    total, N = counts.sum(axis=0), len(counts)
    whole = measure(total)
    if N == 1:
        return np.array([whole])
    without = np.array([measure(total - row) for row in counts])
    values: np.ndarray = whole + (N - 1) * (without.mean() - without)
    return values
