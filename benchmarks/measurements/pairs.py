"""What the measurements of models that answer have in common."""

from collections.abc import Callable
from typing import Any

from references import one_pair
from trainings import weights
from unroll.generation.answering import answer
from unroll.training.loop import Training


def answering(one: Training, data: Any) -> dict[str, Callable[[], int]]:
    """Return two ways to answer the validation split: all of it at once, and one after another."""
    sources, padding = data.sources["valid"], one.objective.options.padding

    def take() -> int:
        return len(answer(one.objective.model, sources, data.form, padding).symbols)

    return {"unroll, all at once": take, "one at a time": one_pair.answered(one, data)}


def training_operations(one: Training, data: Any) -> int:
    """Return the operations of the matrix products of training on a pair, all of one length.

    A multiplication and a sum for each weight and step, forward once and backward twice. Products
    without weights (attention's) are not counted.
    """
    model, form = one.objective.model, data.form
    read = weights(model.encoder) * form.source_width
    written = weights(model.decoder) * (form.target_width - 1)
    return 3 * 2 * (read + written)
