"""The score "general"."""

from torch import Tensor, nn

from unroll.models.attention.attention import Attention


class GeneralAttention(Attention):
    """q · W s (Luong et al., 2015, equation 8, "general")."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__(hidden_size)
        self.project = nn.Linear(hidden_size, hidden_size, bias=False)

    def scores(self, queries: Tensor, states: Tensor) -> Tensor:
        """(N, T, H) and (N, T_source, H) → (N, T, T_source)."""
        scores: Tensor = queries @ self.project(states).transpose(1, 2)
        return scores
