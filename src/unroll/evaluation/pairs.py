"""A sequence-to-sequence model scored on validation and test, with samples to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from unroll.data.pairs import Pairs
from unroll.data.properties import Property, of_bands
from unroll.evaluation import breakdown
from unroll.evaluation.accuracy import Accuracy, accuracy
from unroll.evaluation.attention import maps_of
from unroll.evaluation.evaluation import Evaluation
from unroll.evaluation.items import Item
from unroll.evaluation.texts import MEASURES, reference_losses, score_texts
from unroll.models.seq2seq import Seq2Seq
from unroll.tasks.task import Task

FREQUENCIES = (0, 1, 2, 5, 10, 100, 1_000, 10_000)  # times that a symbol stands in train
SAMPLES = 20
MAPS = 3  # attention maps of right answers, and of wrong ones


@dataclass(frozen=True)
class Answers:
    """Questions, what was expected, what was answered, and whether it is right."""

    questions: list[str]
    expected: list[str]
    answered: list[str]
    right: np.ndarray

    def sample_lines(self, rows: Sequence[int] = range(SAMPLES)) -> str:
        """Return the first answers as the book shows them: Q, T, and ☑ or ☒ with the answer."""
        return "".join(
            f"Q {self.questions[i]}\nT {self.expected[i]}\n"
            f"{'☑' if self.right[i] else '☒'} {self.answered[i]}\n---\n"
            for i in rows
            if i < len(self.questions)
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
    answers = Answers(pairs.questions("test"), _expected(pairs), test.texts, test.right)
    items = {
        "exact_match": Item(test.right.astype(np.uint8)),
        "character_accuracy": Item(
            (test.counts & ~test.wrong).sum(axis=1).astype(np.int32),
            test.counts.sum(axis=1).astype(np.int32),
        ),
    }
    notes: dict[str, str] = {}
    rows: Sequence[int] = range(SAMPLES)
    if pairs.texts is not None:
        more, notes = _as_texts(model, pairs, padding, device, found)
        scores |= {f"{split}_{name}": value for (split, name), (value, _) in more.items()}
        items |= {name: item for (split, name), (_, item) in more.items() if split == "test"}
        rows = short_and_long(pairs)
    chosen = [np.flatnonzero(test.right == right)[:MAPS] for right in (True, False)]
    maps = maps_of(model, pairs, padding, device, test, np.concatenate(chosen))
    properties = [
        breakdown.answer_length(pairs.answers("test")),
        *task.properties(answers.questions),
    ]
    if pairs.texts is not None:
        properties.append(rarest(pairs))
    parts = _breakdown(properties, answers, test, task)
    return Evaluation(scores, items, parts, answers.sample_lines(rows), maps, notes)


Scored = dict[tuple[str, str], tuple[float, Item]]  # by split and metric


def _as_texts(
    model: Seq2Seq, pairs: Pairs, padding: str, device: str, found: Mapping[str, Accuracy]
) -> tuple[Scored, dict[str, str]]:
    """Return what texts are scored by, and the signatures of these scores."""
    assert pairs.texts is not None
    scored: Scored = {}
    notes = {}
    for split, of in found.items():
        for name in MEASURES:
            references, unit = pairs.texts[split].references, pairs.form.answers.unit
            item, notes[name] = score_texts(name, of.texts, references, unit)
            scored[split, name] = (float(item.values.mean()), item)
        losses, counts = reference_losses(model, pairs, split, padding, device)
        perplexity = float(np.exp(losses.sum() / counts.sum()))
        scored[split, "perplexity"] = (perplexity, Item(losses, counts.astype(np.int32)))
    return scored, notes


def short_and_long(pairs: Pairs) -> list[int]:
    """Return the first test pairs of the shortest quarter of the sources, and of the longest."""
    lengths = np.asarray(pairs.sources["test"].lengths)
    low, high = np.quantile(lengths, [0.25, 0.75])
    half = SAMPLES // 2
    short: list[int] = np.flatnonzero(lengths <= low)[:half].tolist()
    return short + [i for i in np.flatnonzero(lengths >= high).tolist() if i not in short][:half]


def rarest(pairs: Pairs) -> Property:
    """Return how often the rarest symbol of each test source stands in the sources of train."""
    counts = np.zeros(len(pairs.form.source), int)
    for ids, length in zip(pairs.sources["train"].ids, pairs.sources["train"].lengths, strict=True):
        np.add.at(counts, ids[:length], 1)
    if "unknown" in pairs.form.source.special:  # what it stands for was seen too seldom to count
        counts[pairs.form.source["unknown"]] = 0
    test = pairs.sources["test"]
    least = [counts[ids[:n]].min() for ids, n in zip(test.ids, test.lengths, strict=True)]
    return of_bands("rarest symbol", np.array(least), FREQUENCIES)


def _expected(pairs: Pairs) -> list[str]:
    """Return all right answers to each test question."""
    if pairs.texts is None:
        return pairs.answers("test")
    return [" | ".join(of) for of in pairs.texts["test"].references]


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
