"""Optimiser and learning rate."""

import inspect
from collections.abc import Mapping, Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from unroll.options import VariantOptions
from unroll.training.checkpoint import Unfit
from unroll.training.muon import Muon
from unroll.training.schedules import SCHEDULES

# What each optimiser keeps of a parameter: of its shape, but for `step`.
MOMENTS: dict[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.SGD: (),
    torch.optim.Adam: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.RMSprop: ("step", "square_avg"),
    Muon: ("momentum_buffer",),
}


class Optimisation:
    """Takes one step after another: clips the gradient, updates the weights, moves the rate."""

    def __init__(self, model: nn.Module, options: VariantOptions, steps: int) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.options, self.steps = options, steps
        self.schedule = SCHEDULES[options.schedule]
        _without_compiler()
        self.optimizers = _optimizers(model, self.parameters, options)
        # As they are written: what PyTorch puts around them is for hooks and for its compiler.
        self._updates = [MethodType(inspect.unwrap(type(o).step), o) for o in self.optimizers]
        self.taken = 0  # steps so far

    def step(self, loss: Tensor, validations: Sequence[float] = (), part: float = 1.0) -> None:
        """Go one step down the gradient of `loss`; its global norm is at most `clip`.

        `validations` are those of the epochs so far, lower being better, for the schedule; `part`
        is the share of the rate that this step has.
        """
        self.move(loss, self.rate(validations, part))

    def rate(self, validations: Sequence[float], part: float) -> float:
        """Return the learning rate of the next step."""
        of_schedule = self.schedule(self.taken, self.steps, validations)
        return part * self.options.learning_rate * of_schedule

    def move(self, loss: Tensor, rate: float) -> None:
        """Go one step down the gradient of `loss` at this rate."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
        loss.backward()
        if self.options.clip is not None:
            self.clip(self.options.clip)
        with torch.no_grad():
            for update in self._updates:
                update()
        self.taken += 1

    def clip(self, largest: float) -> None:
        """Let the global norm of the gradient be no larger."""
        nn.utils.clip_grad_norm_(self.parameters, largest)

    def state(self) -> dict[str, Tensor]:
        """Return what the optimiser keeps of each parameter; the steps taken decide the rest."""
        numbers: dict[Tensor, int] = {p: i for i, p in enumerate(self.parameters)}
        return {
            f"{numbers[parameter]}.{name}": tensor
            for optimizer in self.optimizers
            for parameter, moments in optimizer.state.items()
            for name, tensor in moments.items()
        }

    def restore(self, tensors: Mapping[str, Tensor], taken: int) -> None:
        """Take over what `state` returned after so many steps.

        Raises:
            Unfit: it is not of such an optimiser.
        """
        numbers: dict[Tensor, int] = {p: i for i, p in enumerate(self.parameters)}
        wanted = {
            f"{numbers[parameter]}.{name}": torch.Size() if name == "step" else parameter.shape
            for optimizer in self.optimizers
            for parameter in _parameters_of(optimizer)
            for name in (MOMENTS[type(optimizer)] if taken else ())
        }
        if {name: tensor.shape for name, tensor in tensors.items()} != wanted:
            raise Unfit("the moments of the optimiser are missing or of another shape")
        for optimizer in self.optimizers:
            moments: dict[int, dict[str, Tensor]] = {}
            for place, parameter in enumerate(_parameters_of(optimizer)):
                for name in MOMENTS[type(optimizer)] if taken else ():
                    of = moments.setdefault(place, {})
                    of[name] = tensors[f"{numbers[parameter]}.{name}"]
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.taken = taken


# With what arguments: those of rmsprop are Keras's. The others have kernels of one piece.
OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {"fused": True}),
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "rmsprop": (torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-7}),
}


def _optimizers(
    model: nn.Module, parameters: list[nn.Parameter], options: VariantOptions
) -> list[torch.optim.Optimizer]:
    """Return what moves the parameters: one for all; with Muon one for matrices of layers alone."""
    settings: dict[str, Any] = {"lr": options.learning_rate, "weight_decay": options.weight_decay}
    if options.optimizer != "muon":
        of_class, own = OPTIMIZERS[options.optimizer]
        return [of_class(parameters, **settings, **own)]
    matrices = {
        weight: weight.shape[-2] // layer.hidden_size
        for layer in model.modules()
        if isinstance(layer, nn.RNNBase)
        for name, weight in layer.named_parameters(recurse=False)
        if name.startswith("weight")
    }
    others = [p for p in parameters if p not in matrices]
    of_class, own = OPTIMIZERS["adamw"]
    return [Muon(matrices.items(), **settings), of_class(others, **settings, **own)]


def _parameters_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _without_compiler() -> None:
    """Let optimisers be made and used without PyTorch's compiler, which nothing here uses.

    Some of their methods import it, for seconds, to tell it to leave them alone; they look first
    whether it was told already. Where PyTorch does that no more, this changes nothing.
    """
    for method in vars(torch.optim.Optimizer).values():
        if plain := getattr(method, "__wrapped__", None):
            vars(plain).setdefault("__dynamo_disable", plain)
