"""A conversation with a model that answers: each turn is read with those before it."""

from contextlib import suppress
from typing import Any

from unroll.errors import UserError
from unroll.runs.model import TrainedModel

MOST = 100  # turns that are kept; no model reads as many


class Conversation:
    """What was said so far, by both sides in turn."""

    def __init__(self, trained: TrainedModel) -> None:
        self.trained = trained
        self.turns: list[str] = []
        self.said = 0  # turns of this side, also those that are not kept any more

    def say(self, text: str, request: Any) -> tuple[str, float]:
        """Return what the model says to a text, and its log-probability.

        Where answers are drawn each turn is drawn anew.

        Raises:
            UserError: there is nothing in the text to answer to.
        """
        drawn = request.model_copy(update={"seed": request.seed + self.said})
        [(answer, score)] = self._answered(text, drawn)
        self.turns = [*self.turns, text, answer][-MOST:]
        self.said += 1
        return answer, score

    def _answered(self, text: str, request: Any) -> list[tuple[str, float]]:
        """Answer a text after as many earlier turns as fit into what the model can read."""
        kind, task = self.trained.record.kind, self.trained.task
        for first in range(len(self.turns)):
            with suppress(UserError):
                asked = task.in_context(text, self.turns[first:])
                return kind.answer(self.trained, [asked], request)
        return kind.answer(self.trained, [text], request)
