"""No question may stand in two splits: a model would be tested on what it was taught."""

from collections.abc import Callable, Hashable

from unroll.data.pairs import SPLITS, Pairs
from unroll.data.texts import texts
from unroll.errors import DataError

Key = Callable[[str], Hashable]


def check_leakage(pairs: Pairs, key: Key = str) -> None:
    """Check that no question of a split stands in another one.

    Two questions are the same where their keys are: of an addition, also with its operands
    swapped.

    Raises:
        DataError: a question stands in two splits; the message counts such questions.
    """
    seen: dict[Hashable, tuple[str, str]] = {}
    for split in SPLITS:
        questions = texts(pairs.sources[split], pairs.vocabulary)
        leaks = [(text, seen[key(text)]) for text in questions if key(text) in seen]
        if leaks:
            text, (twin, other) = leaks[0]
            raise DataError(
                f"{len(leaks):,} of the {len(questions):,} {split} questions stand in another "
                f"split: {text}, for one, stands in {other} as {twin}; take them out of the source"
            )
        seen |= {key(text): (text, split) for text in questions}
