"""Optimiser and learning-rate schedule."""

import inspect
import math
from collections.abc import Mapping
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from unroll.options import VariantOptions
from unroll.training.checkpoint import Unfit

# What each optimiser keeps of a parameter: of its shape, but for `step`.
MOMENTS = {
    "sgd": (),
    "adam": ("step", "exp_avg", "exp_avg_sq"),
    "adamw": ("step", "exp_avg", "exp_avg_sq"),
    "rmsprop": ("step", "square_avg"),
}

WARM_UP = 0.1  # share of the steps in which one_cycle rises to its peak


class Optimisation:
    """Takes one step after another: clips the gradient, updates the weights, moves the rate."""

    def __init__(self, model: nn.Module, options: VariantOptions, steps: int) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.options, self.steps = options, steps
        self.optimizer = _optimizer(self.parameters, options)
        # As it is written: what PyTorch puts around it is for hooks and for its compiler.
        self._update = MethodType(inspect.unwrap(type(self.optimizer).step), self.optimizer)
        self.taken = 0  # steps so far

    def step(self, loss: Tensor) -> None:
        """Go one step down the gradient of `loss`; its global norm is at most `clip`."""
        rate = self.options.learning_rate * SCHEDULES[self.options.schedule](self.taken, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss.backward()
        if self.options.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.options.clip)
        with torch.no_grad():
            self._update()
        self.taken += 1

    def state(self) -> dict[str, Tensor]:
        """Return what the optimiser keeps of each parameter; the steps taken decide the rest."""
        moments = self.optimizer.state_dict()["state"]
        return {f"{i}.{name}": t for i, of in moments.items() for name, t in of.items()}

    def restore(self, tensors: Mapping[str, Tensor], taken: int) -> None:
        """Take over what `state` returned after so many steps.

        Raises:
            Unfit: it is not of such an optimiser.
        """
        wanted = {
            f"{i}.{name}": torch.Size() if name == "step" else parameter.shape
            for i, parameter in enumerate(self.parameters)
            for name in (MOMENTS[self.options.optimizer] if taken else ())
        }
        if {name: tensor.shape for name, tensor in tensors.items()} != wanted:
            raise Unfit("the moments of the optimiser are missing or of another shape")
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            i, _, moment = name.partition(".")
            moments.setdefault(int(i), {})[moment] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.taken = taken


# With what arguments: those of rmsprop are Keras's. The others have kernels of one piece.
OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {"fused": True}),
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "rmsprop": (torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-7}),
}


def _optimizer(parameters: list[nn.Parameter], options: VariantOptions) -> torch.optim.Optimizer:
    _without_compiler()
    of_class, own = OPTIMIZERS[options.optimizer]
    arguments: dict[str, Any] = {
        "lr": options.learning_rate,
        "weight_decay": options.weight_decay,
        **own,
    }
    return of_class(parameters, **arguments)


def _without_compiler() -> None:
    """Let optimisers be made and used without PyTorch's compiler, which nothing here uses.

    Some of their methods import it, for seconds, to tell it to leave them alone; they look first
    whether it was told already. Where PyTorch does that no more, this changes nothing.
    """
    for method in vars(torch.optim.Optimizer).values():
        if plain := getattr(method, "__wrapped__", None):
            vars(plain).setdefault("__dynamo_disable", plain)


def constant(step: int, steps: int) -> float:
    """Return 1: the rate stays as it is."""
    return 1.0


def one_cycle(step: int, steps: int) -> float:
    """Return the share of the peak rate at a step (from 0): a straight rise, then half a cosine.

    After Smith & Topin, 2018, "Super-Convergence". No step has a rate of zero.
    """
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise + 1) / (steps - rise + 1)))


SCHEDULES = {"constant": constant, "one_cycle": one_cycle}
