"""A classifier of sentences, at the setting of the study labels.

The topics of the conversations of chatterbot-corpus. `unroll` reads batches of sentences of like
length and no filling; beside it, the same model on random batches that are filled up to the longest
sentence of all. Sentences of the validation split are labelled all at once, or one after another.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from typing import Any

from results import Found
from trainings import epochs_of, precision, training
from turns import Turns
from unroll.data.labels import Labelled
from unroll.evaluation.classification import classify
from unroll.tasks.sentences import Sentences, SentencesOptions
from unroll.training.loop import Training

UNIT = "sentences a second"


def measure(turns: Turns, data: Any, options: Any, variants: Mapping[str, Any]) -> Iterator[Found]:
    """Yield training and labelling of each variant."""
    sentences = Sentences(SentencesOptions.model_validate(data)).prepare()
    for name, own in variants.items():
        chosen = {**options, **own}
        masked = training("labels", sentences, **chosen, padding="masked")
        filled = training("labels", sentences, **chosen, padding="plain")
        train = {
            f"unroll, {precision()}": _sentences_of(masked),
            "filled up to the longest of all": _sentences_of(filled),
        }
        yield turns.compared(f"training {name}", UNIT, train)
        yield turns.compared(f"labelling with {name}", UNIT, labelling(masked, sentences))


def labelling(one: Training, data: Labelled) -> dict[str, Callable[[], int]]:
    """Return two ways to label the validation split."""
    model, sources = one.objective.model, data.sources["valid"]
    padding, numbers = one.objective.options.padding, cycle(range(len(sources)))

    def next_one() -> int:
        number = next(numbers)
        return len(classify(model, sources.part(slice(number, number + 1)), padding, "cpu").labels)

    return {
        "unroll, all at once": lambda: len(classify(model, sources, padding, "cpu").labels),
        "one at a time": next_one,
    }


def _sentences_of(one: Training) -> Callable[[], int]:
    steps = epochs_of(one)
    return lambda: one.objective.batch_size * steps()
