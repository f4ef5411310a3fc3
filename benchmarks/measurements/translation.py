"""Pairs of many lengths, as in a translation set: 3 to 40 words, most of them few.

Made-up pairs. `unroll` reads batches of pairs of like length and no filling (`padding: masked`).
Beside it the same model on batches that are drawn at random and filled up to the longest pair of
all (`padding: plain`), on one pair at a time, as tutorials train, and for the variant with
attention a plain PyTorch loop with dot attention, whose random batches are filled up to their
longest pair (benchmarks/references/attention.py). A token is a word of a source or a symbol to be
predicted; what fills is none.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

import made_up
from measurements.pairs import answering
from references import one_pair
from references.attention import PlainLoop
from results import Found
from trainings import epochs_of, precision, training
from turns import Turns
from unroll.data.pairs import Pairs


def measure(
    turns: Turns, pairs: int, words: int, options: Any, variants: Mapping[str, Any]
) -> Iterator[Found]:
    """Yield training and answering of each variant on so many pairs, which fill their batches."""
    data = made_up.ragged(pairs, words)
    tokens = tokens_of(data)
    for name, own in variants.items():
        chosen = {**options, **own}
        masked, alone = (training("pairs", data, **chosen, padding="masked") for _ in range(2))
        filled = training("pairs", data, **chosen, padding="plain")
        train = {
            f"unroll, {precision()}": _counting(epochs_of(masked), tokens),
            "filled up to the longest of all": _counting(epochs_of(filled), tokens),
            "one pair at a time": one_pair.trained(alone),
        }
        if chosen.get("decoder") == "attention":
            loop = PlainLoop(data, masked.objective.options)
            train["plain PyTorch with attention, float32"] = _counting(_epochs(loop), tokens)
        yield turns.compared(f"training {name}", "tokens a second", train)
        answer = answering(masked, data)
        yield turns.compared(f"answering with {name}", "answers a second", answer)


def tokens_of(data: Pairs) -> int:
    """Return the tokens of the pairs of train; the start of a target is given."""
    source, target = data.sources["train"].lengths, data.targets["train"].lengths
    return int(source.sum() + (target - 1).sum())


def _counting(run: Callable[[], object], units: int) -> Callable[[], int]:
    def take() -> int:
        run()
        return units

    return take


def _epochs(loop: PlainLoop) -> Callable[[], None]:
    numbers = count()

    def take() -> None:
        for _ in loop.epoch(next(numbers)):
            pass

    return take
