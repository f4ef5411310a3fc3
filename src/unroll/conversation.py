"""What goes on: a conversation with a model that answers, or a text that a model writes."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from unroll.errors import UserError
from unroll.runs.model import TrainedModel

if TYPE_CHECKING:
    from unroll.generation.writing import Standing

MOST = 100  # turns that are kept; no model reads as many


class Conversation:
    """What was said so far, by both sides in turn: each turn is read with those before it."""

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


class Text:
    """A text so far: what is said is read behind it, and the model writes on."""

    def __init__(self, trained: TrainedModel) -> None:
        self.trained = trained
        self.standing: Standing | None = None

    def say(self, text: str, request: Any) -> tuple[str, float]:
        """Return a text with what the model writes after it, and the log-probability of that.

        Joined, all that is returned is the text. Numbers are drawn on, as long as the seed is the
        same.

        Raises:
            UserError: the model does not know a word of the text.
        """
        one = self.trained.record.kind.go_on(self.trained, text, request, self.standing)
        self.standing = one.standing
        return one.text, one.log_probability


def begun(trained: TrainedModel) -> Conversation | Text:
    """Return a conversation with a model that answers, or a text of one that writes."""
    return Text(trained) if trained.record.kind.continues else Conversation(trained)
