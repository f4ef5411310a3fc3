"""How much of what a language model wrote stands in the text that it was trained on."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

FILE = "novelty.csv"
LENGTHS = (2, 3, 4, 5)  # n, of n-grams: runs of n words
SAMPLES, TEST_SPLIT = "samples", "test split"  # names of texts
Texts = tuple[Sequence[int], Sequence[int]]  # the ids of a prompt, and those that follow
COLUMNS = ["text", "n", "ngrams", "in_train"]


def novelty(
    texts: Mapping[str, Sequence[Texts]], train: Sequence[int], skipped: Collection[int] = ()
) -> pd.DataFrame:
    """Return the share of each text's n-grams that stand in the ids of train (T,).

    A text is several sequences; no n-gram goes from one to the next, and those count that end in
    what was written. N-grams with `skipped` ids do not count in any text: what may not be written
    cannot be new. A share of 1 at n = 5 is copied text; the share of a text that nobody copied,
    such as the test split, says how much is known anyway.
    """
    rows = []
    for n in LENGTHS:
        known = set(ngrams(train, n))
        for name, sequences in texts.items():
            found = [
                gram
                for prompt, written in sequences
                for gram in ngrams([*prompt[max(0, len(prompt) - n + 1) :], *written], n)
                if not set(gram) & set(skipped)
            ]
            share = sum(gram in known for gram in found) / len(found) if found else np.nan
            rows.append((name, n, len(found), share))
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(["text", "n"], kind="stable")


def ngrams(ids: Sequence[int], n: int) -> list[tuple[int, ...]]:
    """Return all runs of n ids."""
    return list(zip(*(ids[i:] for i in range(n)), strict=False))
