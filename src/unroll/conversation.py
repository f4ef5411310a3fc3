"""A conversation with a model that answers: each turn is read with those before it."""

from typing import Any

from unroll.runs.model import TrainedModel

MOST = 100  # turns that are kept; no model reads as many


class Conversation:
    """What was said so far, by both sides in turn."""

    def __init__(self, trained: TrainedModel) -> None:
        self.trained = trained
        self.turns: list[str] = []

    def say(self, text: str, request: Any) -> tuple[str, float]:
        """Return what the model says to a text, and its log-probability.

        Where answers are drawn each turn is drawn anew.

        Raises:
            UserError: there is nothing in the text to answer to.
        """
        kind, task = self.trained.record.kind, self.trained.task
        asked = task.in_context(text, self.turns)
        drawn = request.model_copy(update={"seed": request.seed + len(self.turns)})
        [(answer, score)] = kind.answer(self.trained, [asked], drawn)
        self.turns = [*self.turns, text, answer][-MOST:]
        return answer, score
