"""Prepared data of either kind."""

from collections.abc import Callable
from pathlib import Path

from unroll.data.corpus import Corpus, load_corpus
from unroll.data.pairs import Pairs, load_pairs

LOADERS: dict[str, Callable[[Path, str], Pairs | Corpus]] = {
    "pairs": load_pairs,
    "corpus": load_corpus,
}


def load(kind: str, folder: Path, remedy: str) -> Pairs | Corpus:
    """Read prepared data of the kind `pairs` or `corpus`.

    Raises:
        DataError: something is missing or damaged; `remedy` says how to make it anew.
    """
    return LOADERS[kind](folder, remedy)
