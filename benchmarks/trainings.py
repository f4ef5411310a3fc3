"""Trainings as a study's, on the CPU in the precision that suits it."""

from collections.abc import Callable
from typing import Any

from torch import nn

from unroll.options import OPTIONS, Compute
from unroll.training.loop import Training
from unroll.training.machine import choose
from unroll.training.run import begin

COMMON = {"task": "measured", "seeds": [0], "epochs": 1_000, "init": "default"}


def training(kind: str, data: Any, **options: Any) -> Training:
    """Return a training of a model of this kind, with the options of a variant."""
    chosen = OPTIONS[kind].model_validate({**COMMON, **options})
    machine = choose(Compute(device="cpu"))
    machine.prepare_process()
    return Training(begin(chosen, data, 0, machine), chosen)


def precision() -> str:
    """Return the precision that suits this machine."""
    return choose(Compute(device="cpu")).precision


def epochs_of(one: Training) -> Callable[[], int]:
    """Return what takes the steps of one epoch after another, and says how many these were."""
    epoch = 0

    def take() -> int:
        nonlocal epoch
        epoch += 1
        one.objective.model.train()
        for loss in one.objective.losses(epoch):
            one.step(loss)
        one.mean_loss()  # a training that diverged measures nothing
        one.steps, one.total = 0, None
        return one.objective.steps

    return take


def weights(module: nn.Module) -> int:
    """Return how many weights its recurrent and affine layers have that stand in matrices."""
    return sum(
        parameter.numel()
        for layer in module.modules()
        if isinstance(layer, nn.Linear | nn.RNNBase)
        for parameter in layer.parameters(recurse=False)
        if parameter.dim() == 2
    )
