"""Exact perplexity of a text under a language model."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.evaluation.reading import of_tokens
from unroll.models.language_model import LanguageModel


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
    return of_tokens(model, tokens, eos, partial(F.cross_entropy, reduction="none"))
