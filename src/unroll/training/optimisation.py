"""Optimiser and learning-rate schedule."""

import math
from typing import Any

import torch
from torch import nn

from unroll.config import VariantOptions

WARM_UP = 0.1  # share of the steps in which one_cycle rises to its peak


class Optimisation:
    """Takes one step after another: clips the gradient, updates the weights, moves the rate."""

    def __init__(self, model: nn.Module, options: VariantOptions, steps: int) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.clip = options.clip
        self.optimizer = _optimizer(self.parameters, options)
        self.schedule = _schedule(self.optimizer, options, steps)

    def step(self, loss: torch.Tensor) -> None:
        """Go one step down the gradient of `loss`; its global norm is at most `clip`."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        self.schedule.step()


def _optimizer(parameters: list[nn.Parameter], options: VariantOptions) -> torch.optim.Optimizer:
    classes: dict[str, type[torch.optim.Optimizer]] = {
        "sgd": torch.optim.SGD,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
    }
    arguments: dict[str, Any] = {
        "lr": options.learning_rate,
        "weight_decay": options.weight_decay,
        "fused": True,
    }
    return classes[options.optimizer](parameters, **arguments)


def _schedule(
    optimizer: torch.optim.Optimizer, options: VariantOptions, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    factor = {"constant": lambda step: 1.0, "one_cycle": lambda step: one_cycle(step, steps)}
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor[options.schedule])


def one_cycle(step: int, steps: int) -> float:
    """Return the share of the peak rate at a step (from 0): a straight rise, then half a cosine.

    After Smith & Topin, 2018, "Super-Convergence". No step has a rate of zero.
    """
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise + 1) / (steps - rise + 1)))
