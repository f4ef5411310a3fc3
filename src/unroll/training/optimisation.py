"""Optimiser and learning-rate schedule."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unroll.config import VariantOptions

WARM_UP = 0.1  # share of the steps in which one_cycle rises to its peak


class Optimisation:
    """Takes one step after another: clips the gradient, updates the weights, moves the rate."""

    def __init__(self, model: nn.Module, options: VariantOptions, steps: int) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.clip = options.clip
        self.optimizer = _optimizer(self.parameters, options)
        self.schedule = _schedule(self.optimizer, options, steps)

    def step(self, loss: Tensor) -> None:
        """Go one step down the gradient of `loss`; its global norm is at most `clip`."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        self.schedule.step()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what decides the next steps: moments and counts, and the place in the schedule."""
        moments = self.optimizer.state_dict()["state"]
        tensors = {f"{i}.{name}": t for i, of in moments.items() for name, t in of.items()}
        rates = [group["lr"] for group in self.optimizer.param_groups]
        return tensors, {"schedule": self.schedule.state_dict(), "rates": rates}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take over what `state` returned.

        Raises:
            loop.UNFIT: it is not of such an optimiser.
        """
        if facts["schedule"].keys() != self.schedule.state_dict().keys():
            raise ValueError("the schedule is another one")
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            i, _, moment = name.partition(".")
            if tensor.shape not in (torch.Size(), self.parameters[int(i)].shape):
                raise ValueError(f"{name} of the optimiser is of another shape")
            moments.setdefault(int(i), {})[moment] = tensor
        if len({frozenset(of) for of in moments.values()}) > 1:
            raise ValueError("a moment is missing")
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.schedule.load_state_dict(facts["schedule"])
        for group, rate in zip(self.optimizer.param_groups, facts["rates"], strict=True):
            group["lr"] = rate


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
