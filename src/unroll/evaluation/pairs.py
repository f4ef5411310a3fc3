"""A sequence-to-sequence model scored on validation and test, with samples to look at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from unroll.data.pairs import Pairs
from unroll.evaluation import breakdown
from unroll.evaluation.accuracy import Accuracy, accuracy
from unroll.evaluation.attention import maps_of
from unroll.evaluation.evaluation import Evaluation
from unroll.evaluation.items import Item
from unroll.generation.answering import texts_of
from unroll.models.seq2seq import Seq2Seq
from unroll.tasks.task import Task

SAMPLES = 20
MAPS = 3  # attention maps of right answers, and of wrong ones


@dataclass(frozen=True)
class Answers:
    """Questions, what was expected, what was answered, and whether it is right."""

    questions: list[str]
    expected: list[str]
    answered: list[str]
    right: np.ndarray

    def sample_lines(self) -> str:
        """Return the first answers as the book shows them: Q, T, and ☑ or ☒ with the answer."""
        rows = zip(self.questions, self.expected, self.answered, self.right, strict=True)
        return "".join(
            f"Q {question}\nT {expected}\n{'☑' if right else '☒'} {answered}\n---\n"
            for _, (question, expected, answered, right) in zip(range(SAMPLES), rows, strict=False)
        )

    def mistakes(self, task: Task[Any], confidence: np.ndarray) -> pd.DataFrame:
        """Return how often the task gives each name to a wrong answer."""
        wrong = np.flatnonzero(~self.right)
        return breakdown.of_mistakes(
            task.mistake,
            [self.expected[i] for i in wrong],
            [self.answered[i] for i in wrong],
            confidence[wrong],
        )


def evaluate_pairs(
    model: Seq2Seq, pairs: Pairs, padding: str, task: Task[Any], device: str
) -> Evaluation:
    """Score a model, in the precision of its weights, on the whole of each split."""
    found = {s: accuracy(model, pairs, s, padding, device) for s in ("valid", "test")}
    scores = {f"{s}_{name}": v for s, of in found.items() for name, v in of.scores().items()}
    test = found["test"]
    answers = Answers(
        pairs.questions("test"),
        pairs.answers("test"),
        texts_of(test.written, pairs.form, padding),
        test.right,
    )
    items = {
        "exact_match": Item(test.right.astype(np.uint8)),
        "character_accuracy": Item(
            (test.counts & ~test.wrong).sum(axis=1).astype(np.int32),
            test.counts.sum(axis=1).astype(np.int32),
        ),
    }
    chosen = [np.flatnonzero(test.right == right)[:MAPS] for right in (True, False)]
    maps = maps_of(model, pairs, padding, device, test, np.concatenate(chosen))
    return Evaluation(scores, items, _breakdown(answers, test, task), answers.sample_lines(), maps)


def _breakdown(answers: Answers, test: Accuracy, task: Task[Any]) -> pd.DataFrame:
    properties = [breakdown.answer_length(answers.expected), *task.properties(answers.questions)]
    confidence = test.confidence
    parts = [
        breakdown.of_answers(properties, answers.right, confidence),
        breakdown.by_position(test.wrong, test.counts, confidence),
        answers.mistakes(task, confidence),
    ]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)
