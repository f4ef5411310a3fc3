"""Curricula: of which of the training pairs an epoch is made, by how hard these are.

After Zaremba and Sutskever, 2014, "Learning to Execute", section 4. There a curriculum goes on
where the model no longer improves; here by time, so that it is the same for all seeds. Every epoch
has as many pairs as there are of the hardest level, whatever the curriculum.
"""

from collections.abc import Callable

import numpy as np

CLIMB = 0.5  # the share of the training in which the naive curriculum comes to the hardest level

# Of how many pairs each level (1 to L, as an array (L,)) brings to an epoch, as shares, at a point
# of the training from 0 to 1.
Curriculum = Callable[[np.ndarray, float], np.ndarray]


def hardest(levels: np.ndarray, progress: float) -> np.ndarray:
    """The hardest level alone: what is to be learned in the end."""
    return np.asarray(levels == levels[-1], dtype=float)


def naive(levels: np.ndarray, progress: float) -> np.ndarray:
    """One level after the other, from the easiest to the hardest."""
    step = min(int(progress / CLIMB * len(levels)), len(levels) - 1)
    return np.asarray(levels == levels[step], dtype=float)


def mixed(levels: np.ndarray, progress: float) -> np.ndarray:
    """All levels alike."""
    return np.full(len(levels), 1 / len(levels))


def combined(levels: np.ndarray, progress: float) -> np.ndarray:
    """Half of the naive curriculum, half of the mixed one."""
    return np.asarray((naive(levels, progress) + mixed(levels, progress)) / 2)


CURRICULA: dict[str, Curriculum] = {
    "hardest": hardest, "naive": naive, "mixed": mixed, "combined": combined,
}  # fmt: skip


def chosen(
    levels: np.ndarray, curriculum: str, progress: float, random: np.random.Generator
) -> np.ndarray:
    """Return the pairs of an epoch, as numbers, from the level (N,) of each pair.

    None comes twice before all of its level have come.
    """
    known, counts = np.unique(levels, return_counts=True)
    shares = CURRICULA[curriculum](known, progress)
    wanted = np.diff(np.round(np.cumsum([0, *shares]) * counts[-1]).astype(int))
    found = []
    for level, size in zip(known, wanted, strict=True):
        of_level = random.permutation(np.flatnonzero(levels == level))
        found.append(np.resize(of_level, size))
    return np.concatenate(found)
