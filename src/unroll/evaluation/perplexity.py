"""Exact perplexity of a text under a language model."""

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.evaluation.reading import logits
from unroll.models.language_model import LanguageModel
from unroll.models.layers import at_least_float32


def perplexity(model: LanguageModel, tokens: Tensor, eos: int) -> float:
    """Return exp of the mean cross entropy of all tokens (T,), each predicted once."""
    return token_losses(model, tokens, eos).mean().exp().item()


@torch.inference_mode()
def token_losses(model: LanguageModel, tokens: Tensor, eos: int) -> Tensor:
    """Return the cross entropy in nats of each token (T,), in float64 on the CPU.

    The text is read from its first token to its last, with the state carried all the way; the
    first token is predicted from `<eos>`. Computed in the precision of the model's weights.
    """
    model.eval()
    losses = torch.empty(len(tokens), dtype=torch.float64)
    for found, expected, places in logits(model, tokens, eos):
        of_window = F.cross_entropy(at_least_float32(found), expected, reduction="none")
        losses[places] = of_window.cpu().double()
    return losses
