"""Small made-up data, always the same: on them a variant's behaviour shows (plans/)."""

import numpy as np

from unroll.data.sequences import Sequences
from unroll.data.vocabulary import SPECIAL, Role, Vocabulary
from unroll.seeds import numpy_generator

COUNTS = {"train": 13, "valid": 5, "test": 7}  # batches of 4 leave one over; none is a width
TOKENS = {"train": 131, "valid": 23, "test": 37}


def letters(symbols: str, *roles: Role) -> Vocabulary:
    """Return a vocabulary of special symbols and letters."""
    special = {role: SPECIAL[role] for role in roles}
    return Vocabulary([*special.values(), *symbols], special=special)


def sequences(split: str, side: str, vocabulary: Vocabulary, width: int) -> Sequences:
    """Return sequences of all lengths that fit, with the start and end that a vocabulary has.

    Two of each length, so that the order of batches of like length is a matter of chance.
    """
    random = numpy_generator(0, "made up", split, side)
    special = vocabulary.special
    inner = np.arange(len(special), len(vocabulary))
    start, end = ([vocabulary[role]] if role in special else [] for role in ("start", "end"))
    longest = width - len(start) - len(end)
    ids = np.full((COUNTS[split], width), vocabulary["pad"], dtype=np.int32)
    lengths = np.empty(COUNTS[split], dtype=np.int32)
    for i, row in enumerate(ids):
        drawn = random.choice(inner, size=longest - i // 2 % longest).tolist()
        row[: len(drawn) + len(start) + len(end)] = [*start, *drawn, *end]
        lengths[i] = len(drawn) + len(start) + len(end)
    return Sequences(ids, lengths)


def stream(split: str, vocabulary: Vocabulary) -> np.ndarray:
    """Return a stream of tokens, some of which follow from the one before."""
    random = numpy_generator(0, "made up", split)
    drawn = random.integers(len(vocabulary), size=TOKENS[split])
    drawn[1::2] = (drawn[:-1:2] + 1) % len(vocabulary)
    return drawn.astype(np.int32)
