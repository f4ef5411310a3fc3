"""Optimiser and learning-rate schedule."""

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
    if options.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    # Smith & Topin, 2018, "Super-Convergence"; learning_rate is the peak.
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=options.learning_rate,
        total_steps=steps,
        pct_start=WARM_UP,
        cycle_momentum=False,
    )
