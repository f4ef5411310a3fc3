"""Which of the things that are told apart go into which split."""

from collections.abc import Sequence

import numpy as np

from unroll.errors import DataError


def splits_of(
    things: Sequence[str], valid: int, test: int, random: np.random.Generator, what: str
) -> dict[str, str]:
    """Return the split of each of several different things: so many in valid and test, drawn.

    Raises:
        DataError: nothing would be left for train; `what` says of what they are.
    """
    if len(things) <= valid + test:
        raise DataError(
            f"{what}: {len(things):,} that are different and short enough, but valid and test ask "
            f"for {valid + test:,}"
        )
    order = [things[i] for i in random.permutation(len(things)).tolist()]
    drawn = [*["test"] * test, *["valid"] * valid, *["train"] * (len(order) - test - valid)]
    return dict(zip(order, drawn, strict=True))
