"""What training minimises, and how it is going: one class per kind of data.

An objective holds its data, yields one loss per step, and measures itself on the validation split,
never in less than float32. On a GPU its data lie there whole; on a CPU they are mapped, and only
what a step needs is read.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unroll.models.dropout import set_generator
from unroll.seeds import torch_generator
from unroll.training.machine import Machine

Read = tuple[Tensor | None, ...]


class Objective(ABC):
    """What the training loop asks for."""

    model: nn.Module
    carried: tuple[Tensor, ...] = ()  # from the last step to the next
    steps: int  # per epoch
    part = 1.0  # of the learning rate: what the step that was yielded last is to have
    generators: dict[str, torch.Generator]  # that a step draws from; they go into checkpoints

    def __init__(self, model: nn.Module, seed: int, machine: Machine) -> None:
        self.model, self.seed, self.machine = model, seed, machine
        self.generators = {"dropout": torch_generator(seed, "dropout", device=machine.device)}
        set_generator(model, self.generators["dropout"])

    def losses(self, epoch: int, start: int = 0) -> Iterator[Tensor]:
        """Yield the loss of each step of an epoch (from 1), the model to be updated in between.

        With `start`, the steps before it have been taken: their place is that of `restore`.
        """
        for read in self.reads(epoch, start):
            loss, self.carried = self.loss(*read)
            yield loss

    @abstractmethod
    def reads(self, epoch: int, start: int) -> Iterator[Read]:
        """Yield what `loss` reads at each step of an epoch, from step `start`.

        It has the same shapes in all seeds: rows (N, …) of a batch, and at last what is carried,
        (L, N, …): the loss of a step must have been asked for before the next one is read.
        """

    @abstractmethod
    def loss(self, *read: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the loss of a step by the model as it is, and what is carried to the next one."""

    def weight(self, *read: Any) -> float:
        """Return of how many things the loss of a step is the mean: of the rows of its batch."""
        return len(read[0])

    def state(self) -> dict[str, Tensor]:
        """Return what `restore` needs to go on in the middle of the epoch."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027 - most have nothing to
        """Take over what `state` returned.

        Raises:
            Unfit: it is not of such an objective.
        """

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Return the metrics of the validation split."""


class Loss(nn.Module):
    """The loss of a step as a module, for what computes modules in other ways (torch.func, DDP)."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.model = objective.model
        self.of: Callable[..., tuple[Tensor, tuple[Tensor, ...]]] = objective.loss

    def forward(self, *read: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return what `Objective.loss` returns."""
        return self.of(*read)
