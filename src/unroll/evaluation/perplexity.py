"""Exact perplexity of a text under a language model."""

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.models.language_model import LanguageModel

WINDOW = 1_000  # tokens read at once; the state is carried on, so it changes nothing


def perplexity(model: LanguageModel, tokens: Tensor, eos: int) -> float:
    """Return exp of the mean cross entropy of all tokens (T,), each predicted once."""
    return token_losses(model, tokens, eos).mean().exp().item()


@torch.inference_mode()
def token_losses(model: LanguageModel, tokens: Tensor, eos: int) -> Tensor:
    """Return the cross entropy in nats of each token (T,), in float64 on the CPU.

    The text is read as one stream from its first token to its last, with the state
    carried all the way; the first token is predicted from `<eos>`. Computed in the
    precision of the model's weights.
    """
    model.eval()
    inputs = torch.cat([tokens.new_tensor([eos]), tokens[:-1]])
    state, losses = None, []
    for read, expected in zip(inputs.split(WINDOW), tokens.split(WINDOW), strict=True):
        logits, state = model(read[None], state)
        losses.append(F.cross_entropy(logits[0], expected, reduction="none").double().cpu())
    return torch.cat(losses)
