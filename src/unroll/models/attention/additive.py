"""The additive score."""

from torch import Tensor, nn

from unroll.models.attention.attention import Attention


class AdditiveAttention(Attention):
    """v · tanh(W q + U s) (Bahdanau et al., 2015, section A.1.2)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__(hidden_size)
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.state = nn.Linear(hidden_size, hidden_size, bias=False)
        self.score = nn.Linear(hidden_size, 1, bias=False)

    def scores(self, queries: Tensor, states: Tensor) -> Tensor:
        """(N, T, H) and (N, T_source, H) → (N, T, T_source)."""
        both = self.query(queries)[:, :, None] + self.state(states)[:, None]
        scores: Tensor = self.score(both.tanh())[..., 0]
        return scores
