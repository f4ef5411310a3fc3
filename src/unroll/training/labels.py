"""Training on labelled sequences: cross entropy of the label."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.data.batches import batches
from unroll.data.labels import Labelled
from unroll.evaluation.classification import classify
from unroll.models.classifier import Classifier
from unroll.models.layers import at_least_float32
from unroll.models.padding import PADDINGS
from unroll.models.side import Side, on
from unroll.options import LabelsOptions
from unroll.training.machine import Machine
from unroll.training.objective import Objective, Read


class LabelsObjective(Objective):
    """Cross entropy of the label, over batches of sequences of like length."""

    model: Classifier

    def __init__(
        self, model: Classifier, data: Labelled, options: LabelsOptions, seed: int, machine: Machine
    ) -> None:
        super().__init__(model, seed, machine)
        self.data, self.options = data, options
        self.source = Side(data.sources["train"], PADDINGS[options.padding], machine.device)
        self.labels = on(machine.device, data.labels["train"]).long()
        self.batch_size = min(options.batch_size, len(self.labels))
        self.steps = len(self.labels) // self.batch_size

    def reads(self, epoch: int, start: int) -> Iterator[Read]:
        """Yield sources, their lengths and labels of each batch, in a new order at every epoch."""
        order = batches([self.source.order_by], self.batch_size, self.seed, epoch)
        for rows in order[start:]:
            yield *self.source.read(rows), self.labels[rows.to(self.labels.device)]

    def loss(
        self, source: Tensor, lengths: Tensor | None, labels: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the mean cross entropy in nats of labels (N,)."""
        with self.machine.autocast():
            logits = self.model(source, lengths)
        return F.cross_entropy(at_least_float32(logits), labels), ()

    def validate(self) -> dict[str, float]:
        """Return the accuracy of the validation split."""
        found = classify(
            self.model, self.data.sources["valid"], self.options.padding, self.machine.device
        )
        right = found.labels == torch.as_tensor(self.data.labels["valid"])
        return {"valid_accuracy": right.double().mean().item()}
