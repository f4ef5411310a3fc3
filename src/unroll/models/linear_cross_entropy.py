"""The affine layer and the softmax loss of a large vocabulary, in one step.

The straightforward way writes the logits (N, V) to memory in float32, reads them again
for the softmax, and a third time for the gradient. For a vocabulary of 10,000 words that
is half of a training step. Here a block of rows is carried from logits to gradient while
it is in the cache. PyTorch's own `linear_cross_entropy` with chunks was slower than the
straightforward way on the CPUs tried (docs/log.md).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 64  # rows carried at once


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        N, V = len(targets), len(weight)
        dlogits = hidden.new_empty(N, V)
        likelihoods = []
        precise = torch.promote_types(hidden.dtype, torch.float32)
        for start in range(0, N, BLOCK):
            rows = slice(start, start + BLOCK)
            expected = targets[rows, None]
            probabilities = F.linear(hidden[rows], weight, bias).softmax(1, dtype=precise)
            likelihoods.append(probabilities.gather(1, expected))
            # The gradient of the loss by the logits: p - 1 at the target, p elsewhere.
            probabilities.scatter_add_(1, expected, torch.full_like(likelihoods[-1], -1.0))
            dlogits[rows] = probabilities
        dbias = (dlogits.new_ones(1, N) @ dlogits)[0]  # a product: sums are slower in bf16
        ctx.save_for_backward(dlogits @ weight, dlogits.t() @ hidden, dbias)
        found = torch.cat(likelihoods)
        # A likelihood of less than its type can hold counts as the smallest one it can.
        return -found.clamp_min(torch.finfo(found.dtype).tiny).log().mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden_gradient = ctx.saved_tensors[0]
        scale = gradients[0] / len(hidden_gradient)
        return *(part * scale.to(part.dtype) for part in ctx.saved_tensors), None


def linear_cross_entropy(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross entropy in nats: `cross_entropy(linear(hidden, weight, bias))`.

    The matrix products run in autocast's precision where it is on, the softmax in float32 (in
    float64 where the model is).

    Args:
        hidden: (N, H)
        weight: (V, H)
        bias: (V,)
        targets: ids (N,)
    """
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight, bias = hidden.to(dtype), weight.to(dtype), bias.to(dtype)
    loss: Tensor = _LinearCrossEntropy.apply(hidden, weight, bias, targets)  # type: ignore[no-untyped-call]
    return loss
