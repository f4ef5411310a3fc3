"""Rows of ids as the texts that they stand for."""

import numpy as np

from unroll.data.pairs import BLANK
from unroll.data.vocabulary import Vocabulary


def texts(ids: np.ndarray, vocabulary: Vocabulary) -> list[str]:
    """Return the rows of ids (N, T) as texts without the blanks at their ends."""
    symbols = np.array(vocabulary.symbols)
    return ["".join(row).rstrip(BLANK) for row in symbols[ids]]
