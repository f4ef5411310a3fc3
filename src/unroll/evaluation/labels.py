"""A classifier scored on validation and test: accuracy, and F1 of each label."""

from typing import Any

import numpy as np
import pandas as pd

from unroll.data.labels import Labelled
from unroll.evaluation import breakdown
from unroll.evaluation.classification import classify
from unroll.evaluation.evaluation import Evaluation
from unroll.evaluation.items import Item, influences
from unroll.evaluation.pairs import Answers
from unroll.metrics import MACRO_F1
from unroll.models.classifier import Classifier
from unroll.tasks.task import Task


def evaluate_labels(
    model: Classifier, data: Labelled, padding: str, task: Task[Any], device: str
) -> Evaluation:
    """Score a model, in the precision of its weights, on the whole of each split."""
    found = {s: classify(model, data.sources[s], padding, device) for s in ("valid", "test")}
    right = {s: of.labels.numpy() == np.asarray(data.labels[s]) for s, of in found.items()}
    names, test = data.form.labels, found["test"]
    of_labels = {
        s: f1_items(np.asarray(data.labels[s]), of.labels.numpy(), len(names))
        for s, of in found.items()
    }
    answered = [names[i] for i in test.labels.tolist()]
    references = [[answer] for answer in data.answers("test")]
    answers = Answers(data.questions("test"), references, answered, right["test"])
    confidence = test.log_probabilities.double().exp().numpy()
    parts = [
        breakdown.of_answers(task.properties(answers.questions), answers.right, confidence),
        answers.mistakes(task, confidence),
        breakdown.of_confusion([answer for (answer,) in references], answered, confidence),
    ]
    return Evaluation(
        {f"{split}_accuracy": float(of.mean()) for split, of in right.items()}
        | {f"{s}_macro_f1": MACRO_F1.clip(float(f1.values.mean())) for s, f1 in of_labels.items()},
        {"accuracy": Item(right["test"].astype(np.uint8)), "macro_f1": of_labels["test"]},
        pd.concat([part for part in parts if len(part)], ignore_index=True),
        answers.sample_lines(),
    )


def f1_items(expected: np.ndarray, given: np.ndarray, labels: int) -> Item:
    """Return what each of I answers brought to the mean of F1 over the labels that occur.

    With `expected` and `given` (I,), numbers of labels. F1 of a label is twice its right answers by
    all that are of it or were called so (van Rijsbergen, 1979, "Information Retrieval").
    """
    of, called = np.eye(labels)[expected], np.eye(labels)[given]
    occurs = of.any(axis=0)

    def macro_f1(counts: np.ndarray) -> float:
        both, right = counts.reshape(2, labels)[:, occurs]
        return float((2 * right / both.clip(min=1)).mean())

    return Item(influences(np.hstack([of + called, of * called]), macro_f1))
