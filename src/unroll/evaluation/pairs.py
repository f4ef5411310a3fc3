"""A sequence-to-sequence model scored on validation and test, with samples to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from unroll.data.pairs import Pairs
from unroll.data.properties import Property
from unroll.evaluation import breakdown
from unroll.evaluation.accuracy import Accuracy, accuracy
from unroll.evaluation.attention import maps_of
from unroll.evaluation.evaluation import Evaluation
from unroll.evaluation.items import Item
from unroll.evaluation.texts import rarest, score_all, short_and_long
from unroll.models.seq2seq import Seq2Seq
from unroll.tasks.task import Task

SAMPLES = 20
MAPS = 3  # attention maps of right answers, and of wrong ones


@dataclass(frozen=True)
class Answers:
    """Questions, the answers that are right, what was answered, and whether it is right."""

    questions: list[str]
    references: list[list[str]]
    answered: list[str]
    right: np.ndarray

    def sample_lines(self, rows: Sequence[int] = range(SAMPLES)) -> str:
        """Return some answers as the book shows them: Q, T, and ☑ or ☒ with the answer."""
        return "".join(
            f"Q {self.questions[i]}\nT {' | '.join(self.references[i])}\n"
            f"{'☑' if self.right[i] else '☒'} {self.answered[i]}\n---\n"
            for i in rows
            if i < len(self.questions)
        )

    def mistakes(self, task: Task[Any], confidence: np.ndarray) -> pd.DataFrame:
        """Return how often the task gives each name to a wrong answer."""
        wrong = np.flatnonzero(~self.right)
        return breakdown.of_mistakes(
            task.mistake,
            [self.references[i][0] for i in wrong],
            [self.answered[i] for i in wrong],
            confidence[wrong],
        )


def evaluate_pairs(
    model: Seq2Seq, pairs: Pairs, padding: str, task: Task[Any], device: str
) -> Evaluation:
    """Score a model, in the precision of its weights, on the whole of each split."""
    found = {s: accuracy(model, pairs, s, padding, device) for s in ("valid", "test")}
    return evaluate_answers(
        model, pairs, padding, task, device, found, shown(model, pairs, padding, device, found)
    )


@dataclass(frozen=True)
class Shown:
    """What of a test split is shown, beside scores, that depends on what its sources are."""

    properties: list[Property] = field(default_factory=list)
    samples: Sequence[int] = range(SAMPLES)
    maps: list[dict[str, Any]] = field(default_factory=list)


def shown(
    model: Seq2Seq, pairs: Pairs, padding: str, device: str, found: Mapping[str, Accuracy]
) -> Shown:
    """Return what is shown where sources are sequences."""
    test = found["test"]
    chosen = [np.flatnonzero(test.right == right)[:MAPS] for right in (True, False)]
    maps = maps_of(model, pairs, padding, device, test, np.concatenate(chosen))
    if pairs.texts is None:
        return Shown(maps=maps)
    return Shown([rarest(pairs)], short_and_long(pairs, SAMPLES), maps)


def evaluate_answers(
    model: Seq2Seq,
    pairs: Pairs,
    padding: str,
    task: Task[Any],
    device: str,
    found: Mapping[str, Accuracy],
    shown: Shown,
) -> Evaluation:
    """Score what a model has answered to each split."""
    scores = {f"{s}_{name}": v for s, of in found.items() for name, v in of.scores().items()}
    test, references = found["test"], pairs.references("test")
    answers = Answers(pairs.questions("test"), references, test.texts, test.right)
    items = {
        "exact_match": Item(test.right.astype(np.uint8)),
        "character_accuracy": Item(
            (test.counts & ~test.wrong).sum(axis=1).astype(np.int32),
            test.counts.sum(axis=1).astype(np.int32),
        ),
    }
    properties = [
        breakdown.answer_length([first for first, *_ in references]),
        *task.properties(answers.questions),
        *shown.properties,
    ]
    table, samples = (
        _breakdown(properties, answers, test, task),
        answers.sample_lines(shown.samples),
    )
    if pairs.texts is None:
        return Evaluation(scores, items, table, samples, shown.maps)
    of = {split: score_all(model, pairs, split, padding, device, found[split]) for split in found}
    return Evaluation(
        scores | {f"{s}_{name}": v for s in of for name, v in of[s].values.items()},
        items | of["test"].items,
        table,
        samples,
        shown.maps,
        of["test"].notes,
    )


def _breakdown(
    properties: Sequence[Property], answers: Answers, test: Accuracy, task: Task[Any]
) -> pd.DataFrame:
    confidence = test.confidence
    parts = [
        breakdown.of_answers(properties, answers.right, confidence),
        breakdown.by_position(test.wrong, test.counts, confidence),
        answers.mistakes(task, confidence),
    ]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)
