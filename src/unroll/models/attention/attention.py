"""What all attention has in common: scores, a softmax over the source, a weighted sum."""

import math
from abc import ABC, abstractmethod

from torch import Tensor, nn

from unroll.models.encoder import Memory


class Attention(nn.Module, ABC):
    """Weighs the steps of a source for each query (Bahdanau et al., 2015, equations 5 and 6)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    @abstractmethod
    def scores(self, queries: Tensor, states: Tensor) -> Tensor:
        """Return the scores (N, T, T_source) of states (N, T_source, H) for queries (N, T, H)."""

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return for queries (N, T, H) the contexts (N, T, H) and the weights (N, T, T_source).

        What fills a source has weights of exactly zero.
        """
        scores = self.scores(queries, memory.states)
        if memory.present is not None:
            scores = scores.masked_fill(~memory.present[:, None, :], -math.inf)
        weights = scores.softmax(dim=-1)
        return weights @ memory.states, weights
