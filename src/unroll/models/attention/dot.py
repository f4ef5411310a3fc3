"""The score "dot"."""

from torch import Tensor

from unroll.models.attention.attention import Attention


class DotAttention(Attention):
    """q · s (Luong et al., 2015, equation 8, "dot")."""

    def scores(self, queries: Tensor, states: Tensor) -> Tensor:
        """(N, T, H) and (N, T_source, H) → (N, T, T_source)."""
        return queries @ states.transpose(1, 2)
