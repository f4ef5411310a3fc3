"""A mixture of softmaxes in place of one.

A softmax over one product of matrices can tell words apart in no more ways than the hidden state
has numbers; a mean of several can (Yang et al., 2018, "Breaking the Softmax Bottleneck: A High-Rank
RNN Language Model").
"""

from torch import Tensor, nn

from unroll.models.layers import at_least_float32


class Mixture(nn.Module):
    """K softmaxes over one affine layer, each of a latent vector of its own."""

    def __init__(self, hidden_size: int, latent_size: int, softmaxes: int) -> None:
        super().__init__()
        self.softmaxes = softmaxes
        self.prior = nn.Linear(hidden_size, softmaxes, bias=False)
        self.latent = nn.Linear(hidden_size, softmaxes * latent_size)

    def forward(self, hidden: Tensor, affine: nn.Linear) -> Tensor:
        """Return log-probabilities (N, T, V) after hidden states (N, T, H), equations 2 and 3.

        They are logits too: their softmax gives the same probabilities.
        """
        shares = at_least_float32(self.prior(hidden)).log_softmax(dim=-1)  # (N, T, K)
        latent = self.latent(hidden).tanh().unflatten(-1, (self.softmaxes, -1))  # (N, T, K, D)
        logs = at_least_float32(affine(latent)).log_softmax(dim=-1)
        return (logs + shares[..., None]).logsumexp(dim=-2)
