"""No question may stand in two splits: a model would be tested on what it was taught."""

from collections.abc import Callable, Hashable, Mapping, Sequence

from unroll.errors import DataError

Key = Callable[[str], Hashable]


def check_leakage(questions: Mapping[str, Sequence[str]], key: Key) -> None:
    """Check that no question of a split stands in another one.

    Two questions are the same where their keys are: of an addition, also with its operands
    swapped.

    Raises:
        DataError: a question stands in two splits; the message counts such questions.
    """
    seen: dict[Hashable, tuple[str, str]] = {}
    for split, texts in questions.items():
        leaks = [(text, seen[key(text)]) for text in texts if key(text) in seen]
        if leaks:
            text, (twin, other) = leaks[0]
            raise DataError(
                f"{len(leaks):,} of the {len(texts):,} {split} questions stand in another "
                f"split: {text}, for one, stands in {other} as {twin}; take them out of the source"
            )
        seen |= {key(text): (text, split) for text in texts}


def shared(questions: Mapping[str, Sequence[str]], key: Key) -> dict[str, int]:
    """Return how many questions of each split stand in train, too."""
    train = {key(text) for text in questions["train"]}
    return {s: sum(key(t) in train for t in of) for s, of in questions.items() if s != "train"}
