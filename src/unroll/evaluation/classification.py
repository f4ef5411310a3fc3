"""The labels that a model gives to sequences."""

from dataclasses import dataclass

import torch

from unroll.data.batches import rows_at_once
from unroll.data.sequences import Sequences
from unroll.models.classifier import Classifier
from unroll.models.layers import at_least_float32
from unroll.models.padding import PADDINGS
from unroll.models.side import Side


@dataclass(frozen=True)
class Classified:
    """The likeliest label of each of N sequences, and its log-probability, on the CPU."""

    labels: torch.Tensor  # (N,)
    log_probabilities: torch.Tensor  # (N,), natural logarithms


@torch.inference_mode()
def classify(model: Classifier, sources: Sequences, padding: str, device: str) -> Classified:
    """Return what the model says of each sequence; those of like length are read together."""
    model.eval()
    side = Side(sources, PADDINGS[padding], device)
    labels = torch.empty(len(side), dtype=torch.long)
    scores = torch.empty(len(side), dtype=torch.float64)
    for rows in side.parts(rows_at_once(sources.width, model.encoder.recurrent.hidden_size)):
        logits = model(*side.read(rows))
        best = at_least_float32(logits).log_softmax(dim=1).max(dim=1)
        labels[rows], scores[rows] = best.indices.cpu(), best.values.cpu().double()
    return Classified(labels, scores)
