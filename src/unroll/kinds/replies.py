"""Replies: pairs of which many other answers would do as well.

The models are those of pairs. But that an answer is the one that stands there says little: what
decides is how likely that one is to the model (perplexity), and answers are looked at together: how
many different ones there are, and how many are copied.
"""

from typing import TYPE_CHECKING, Any

from unroll.data.pairs import Pairs
from unroll.kinds.kind import SessionRequest
from unroll.kinds.pairs import PairsKind, PairsRequest
from unroll.metrics import (
    AGAINST_SHUFFLED,
    BLEU,
    CHARACTER_ACCURACY,
    CHRF,
    COPIED,
    DISTINCT,
    EXACT_MATCH,
    PERPLEXITY,
)
from unroll.options import PairsOptions
from unroll.tasks.task import Task

if TYPE_CHECKING:
    from unroll.evaluation.evaluation import Evaluation
    from unroll.training.machine import Machine
    from unroll.training.objective import Objective


class RepliesRequest(PairsRequest, SessionRequest):
    """What who asks a served model may set."""


class RepliesKind(PairsKind):
    """What was said → what one says to that."""

    name = "replies"
    metrics = (
        PERPLEXITY,
        AGAINST_SHUFFLED,
        DISTINCT,
        COPIED,
        EXACT_MATCH,
        CHARACTER_ACCURACY,
        BLEU,
        CHRF,
    )
    Request = RepliesRequest
    converses = True

    def made_up(self, options: Any) -> Pairs:
        """Return made-up pairs with their texts: replies always have them."""
        return self.with_texts(super().made_up(options))

    def objective(
        self, model: Any, data: Pairs, options: PairsOptions, seed: int, machine: "Machine"
    ) -> "Objective":
        """Return the cross entropy of the reply's symbols."""
        from unroll.training.replies import RepliesObjective

        return RepliesObjective(model, data, options, seed, machine)

    def evaluate(
        self, model: Any, data: Pairs, options: PairsOptions, task: Task[Any], device: str
    ) -> "Evaluation":
        """Score the replies of both splits, one by one and together."""
        from unroll.evaluation.replies import evaluate_replies

        return evaluate_replies(model, data, options.padding, task, device)


KIND = RepliesKind()
