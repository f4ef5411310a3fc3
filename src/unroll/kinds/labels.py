"""Labels: a classifier gives a sequence one of several labels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.data.labels import Labelled, LabelsForm, load_labelled, save_labelled
from unroll.data.sequences import SPLITS, encode
from unroll.data.vocabulary import Vocabulary
from unroll.kinds.kind import Kind, Request
from unroll.kinds.made_up import letters, sequences
from unroll.metrics import ACCURACY, MACRO_F1
from unroll.options import LabelsOptions, VariantOptions
from unroll.tasks.task import Task

if TYPE_CHECKING:
    from unroll.evaluation.evaluation import Evaluation
    from unroll.models.classifier import Classifier
    from unroll.runs.model import TrainedModel
    from unroll.training.machine import Machine
    from unroll.training.objective import Objective


class LabelsKind(Kind[Labelled, LabelsForm]):
    """A sequence → a class."""

    name = "labels"
    metrics = (ACCURACY, MACRO_F1)
    Form = LabelsForm
    unit, seen = "sequences", "sequences"
    columns = ("sequence", "label")
    output = "label"

    def load(self, folder: Path) -> Labelled:
        """Read prepared sequences and their labels."""
        return load_labelled(folder)

    def save(self, data: Labelled, folder: Path) -> None:
        """Write prepared sequences and their labels."""
        save_labelled(data, folder)

    def form(self, data: Labelled) -> LabelsForm:
        """Return the vocabulary, the greatest length and the labels."""
        return data.form

    def questions(self, data: Labelled) -> Mapping[str, Sequence[str]]:
        """Return the sequences as texts."""
        return {split: data.questions(split) for split in SPLITS}

    def made_up(self, options: VariantOptions) -> Labelled:
        """Return sequences of different lengths; the label is whether the first letter is early."""
        vocabulary = letters("abcdef", "pad")
        form = LabelsForm(source=vocabulary, source_width=6, labels=["early", "late"])
        sources = {s: sequences(s, "source", vocabulary, form.source_width) for s in SPLITS}
        labels = {s: (of.ids[:, 0] > 3).astype(np.int32) for s, of in sources.items()}
        return Labelled(form, sources, labels, {})

    def with_texts(self, data: Labelled) -> Labelled:
        """Return the sequences with their texts."""
        return replace(data, texts={split: data.questions(split) for split in SPLITS})

    def model(self, options: LabelsOptions, form: LabelsForm) -> "Classifier":
        """Return a classifier."""
        from unroll.models.classifier import Classifier

        return Classifier(options, form)

    def objective(
        self, model: Any, data: Labelled, options: LabelsOptions, seed: int, machine: "Machine"
    ) -> "Objective":
        """Return the cross entropy of the label."""
        from unroll.training.labels import LabelsObjective

        return LabelsObjective(model, data, options, seed, machine)

    def evaluate(
        self, model: Any, data: Labelled, options: LabelsOptions, task: Task[Any], device: str
    ) -> "Evaluation":
        """Return the accuracy on both splits."""
        from unroll.evaluation.labels import evaluate_labels

        return evaluate_labels(model, data, options.padding, task, device)

    def answer(
        self, trained: "TrainedModel", texts: Sequence[str], request: Request
    ) -> list[tuple[str, float]]:
        """Return the likeliest label of each text."""
        from unroll.evaluation.classification import classify

        form, options = trained.form, trained.options
        questions = [trained.task.question(text) for text in texts]
        source = encode(questions, form.source, form.source_width, "the texts")
        found = classify(trained.model, source, options.padding, "cpu")
        labels = [form.labels[i] for i in found.labels.tolist()]
        return list(zip(labels, found.log_probabilities.tolist(), strict=True))

    def unknown(self, trained: "TrainedModel", text: str) -> list[str]:
        """Return the symbols of a sequence that the model does not know, as they stand there."""
        vocabulary: Vocabulary = trained.form.source
        return vocabulary.unknown(trained.task.question(text))

    def example(self, task: Task[Any], form: LabelsForm) -> str:
        """Return the task's own question, or one symbol."""
        return task.example or form.source.symbols[-1]


KIND = LabelsKind()
