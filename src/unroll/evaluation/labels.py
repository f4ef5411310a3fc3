"""A classifier scored on validation and test."""

from typing import Any

import numpy as np
import pandas as pd

from unroll.data.labels import Labelled
from unroll.evaluation import breakdown
from unroll.evaluation.classification import classify
from unroll.evaluation.evaluation import Evaluation
from unroll.evaluation.items import Item
from unroll.evaluation.pairs import Answers
from unroll.models.classifier import Classifier
from unroll.tasks.task import Task


def evaluate_labels(
    model: Classifier, data: Labelled, padding: str, task: Task[Any], device: str
) -> Evaluation:
    """Score a model, in the precision of its weights, on the whole of each split."""
    found = {s: classify(model, data.sources[s], padding, device) for s in ("valid", "test")}
    right = {s: of.labels.numpy() == np.asarray(data.labels[s]) for s, of in found.items()}
    names, test = data.form.labels, found["test"]
    answered = [names[i] for i in test.labels.tolist()]
    references = [[answer] for answer in data.answers("test")]
    answers = Answers(data.questions("test"), references, answered, right["test"])
    confidence = test.log_probabilities.double().exp().numpy()
    parts = [
        breakdown.of_answers(task.properties(answers.questions), answers.right, confidence),
        answers.mistakes(task, confidence),
    ]
    return Evaluation(
        {f"{split}_accuracy": float(of.mean()) for split, of in right.items()},
        {"accuracy": Item(right["test"].astype(np.uint8))},
        pd.concat([part for part in parts if len(part)], ignore_index=True),
        answers.sample_lines(),
    )
