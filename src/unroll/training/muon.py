"""Muon: steps along the gradient with all its singular values made equal.

Jordan et al., 2024, "Muon: An optimizer for hidden layers in neural networks"; the size of a step
as in Liu et al., 2025, "Muon is Scalable for LLM Training", equation 4, so that a rate and a weight
decay that suit AdamW suit it too. The matrix of a recurrent layer is that of several gates, one
above the other: each gate is a matrix of its own here.

PyTorch has a Muon as well. It takes whole matrices, and computes in bfloat16 alone: slow where the
processor has no units for it, and not the same on every machine.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the iteration, as published
ROUNDS = 5
MOMENTUM = 0.95
SMALLEST = 1e-7
AS_ADAMW = 0.2  # the root mean square of AdamW's steps


class Muon(Optimizer):
    """Muon with Nesterov momentum for matrices (…, G · H, D) of G gates."""

    def __init__(
        self, matrices: Iterable[tuple[nn.Parameter, int]], lr: float, weight_decay: float
    ) -> None:
        """`matrices` are parameters, each with the number of its gates."""
        groups = [{"params": [matrix], "gates": gates} for matrix, gates in matrices]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._update(matrix, matrix.grad, group)

    def _update(self, matrix: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        mean = state["momentum_buffer"]
        mean.lerp_(gradient, 1 - MOMENTUM)
        ahead = gradient.lerp(mean, MOMENTUM)
        rows, columns = matrix.shape[-2:]
        gates = ahead.view(-1, rows // group["gates"], columns)
        step = orthogonal(gates).view_as(matrix)
        rate = group["lr"]
        matrix.mul_(1 - rate * group["weight_decay"])
        matrix.add_(step, alpha=-rate * AS_ADAMW * math.sqrt(max(gates.shape[1:])))


def orthogonal(matrices: Tensor) -> Tensor:
    """Return matrices (G, A, B) with singular values near 1 and the singular vectors that they had.

    By Newton and Schulz's iteration, which needs products alone.
    """
    a, b, c = COEFFICIENTS
    x = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(SMALLEST)
    for _ in range(ROUNDS):
        product = x @ x.mT
        x = a * x + (b * product + c * product @ product) @ x
    found: Tensor = x.mT if matrices.shape[1] > matrices.shape[2] else x
    return found
