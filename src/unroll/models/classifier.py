"""A sequence to a class: many to one."""

import math

from torch import Tensor, nn

from unroll.data.labels import LabelsForm
from unroll.models.dropout import Dropout
from unroll.models.encoder import Encoder, Memory
from unroll.options import LabelsOptions


class LastPooling(nn.Module):
    """Takes the h after the last symbol for the whole sequence."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, memory: Memory) -> Tensor:
        """Return the summary (N, H)."""
        return memory.summary


class MaxPooling(nn.Module):
    """Takes of each feature the greatest value at any step (Collobert and Weston, 2008)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, memory: Memory) -> Tensor:
        """Return the greatest values (N, H) of the memory's states (N, T, H)."""
        states = memory.states
        if memory.present is not None:
            states = states.masked_fill(~memory.present[:, :, None], -math.inf)
        return states.amax(dim=1)


class AttentionPooling(nn.Module):
    """Weighs the steps by a learned query (Yang et al., 2016, equations 5 to 7)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.project = nn.Linear(hidden_size, hidden_size)
        self.query = nn.Linear(hidden_size, 1, bias=False)

    def forward(self, memory: Memory) -> Tensor:
        """Return the weighted sum (N, H) of the memory's states (N, T, H)."""
        scores = self.query(self.project(memory.states).tanh()).squeeze(2)
        if memory.present is not None:
            scores = scores.masked_fill(~memory.present, -math.inf)
        pooled: Tensor = (scores.softmax(dim=1)[:, None, :] @ memory.states).squeeze(1)
        return pooled


POOLINGS = {"last": LastPooling, "max": MaxPooling, "attention": AttentionPooling}


class Classifier(nn.Module):
    """An encoder, what it leaves pooled to one vector, and an affine layer over the labels."""

    def __init__(self, options: LabelsOptions, form: LabelsForm) -> None:
        super().__init__()
        self.encoder = Encoder(options, len(form.source))
        self.pooling = POOLINGS[options.pooling](options.hidden_size)
        self.dropout = Dropout(options.dropout)
        self.affine = nn.Linear(options.hidden_size, len(form.labels))

    def forward(self, source: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the logits (N, labels) of sources (N, T), read up to `lengths` (N,)."""
        memory, _ = self.encoder(source, lengths)
        pooled = self.dropout(self.pooling(memory)[:, None]).squeeze(1)
        logits: Tensor = self.affine(pooled)
        return logits
