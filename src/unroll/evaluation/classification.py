"""The labels that a model gives to sequences."""

from dataclasses import dataclass

import numpy as np
import torch

from unroll.data.batches import rows_at_once
from unroll.data.sequences import Sequences
from unroll.models.classifier import Classifier
from unroll.models.layers import at_least_float32
from unroll.models.padding import PADDINGS


@dataclass(frozen=True)
class Classified:
    """The likeliest label of each of N sequences, and its log-probability, on the CPU."""

    labels: torch.Tensor  # (N,)
    log_probabilities: torch.Tensor  # (N,), natural logarithms


@torch.inference_mode()
def classify(model: Classifier, sources: Sequences, padding: str, device: str) -> Classified:
    """Return what the model says of each sequence; those of like length are read together."""
    model.eval()
    known = PADDINGS[padding]
    lengths = torch.as_tensor(np.array(sources.lengths)).long()
    seen = known.lengths(lengths)
    order = torch.arange(len(lengths)) if seen is None else torch.argsort(seen, stable=True)
    labels = torch.empty(len(lengths), dtype=torch.long)
    scores = torch.empty(len(lengths), dtype=torch.float64)
    for rows in order.split(rows_at_once(sources.width, model.encoder.recurrent.hidden_size)):
        width = known.width(lengths[rows], sources.width)
        ids = torch.as_tensor(sources.ids[rows.numpy()][:, :width]).long().to(device)
        read = None if seen is None else lengths[rows].to(device)
        best = at_least_float32(model(ids, read)).log_softmax(dim=1).max(dim=1)
        labels[rows], scores[rows] = best.indices.cpu(), best.values.cpu().double()
    return Classified(labels, scores)
