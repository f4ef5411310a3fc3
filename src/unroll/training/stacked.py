"""Many seeds of a variant as one program: their parameters stacked, their steps taken at once.

Models that are so small do little at each step but begin it: on a GPU all seeds take hardly more
time than one. Each seed has its own weights, order of data, dropout and clipping, as alone. What
holds the state of its training is that of a training alone, whose weights lie in the stack.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from unroll.models.dropout import set_generator, set_generators
from unroll.models.recurrence import by_equations
from unroll.training.interruption import Interruption
from unroll.training.loop import Seat, Stepper, Training, go_on
from unroll.training.objective import Loss, Objective, Read
from unroll.training.optimisation import Optimisation


def train_together(seats: Sequence[Seat], interruption: Interruption) -> None:
    """Take up trainings of one variant and take them to their end, as `loop.train` does.

    Those that stand at the same place take their steps together; those that lag behind go without
    the others until they have caught up.

    Raises:
        TrainingError: a loss or a metric is no longer a finite number.
        DataError: a checkpoint is damaged.
        Interrupted: the run was asked to end.
    """
    for seat in seats:
        seat.take_up()
    while going := [seat for seat in seats if seat.training.epoch <= seat.training.epochs]:
        first, *later = sorted({seat.training.place for seat in going})
        together = [seat for seat in going if seat.training.place == first]
        with _stepper([seat.training for seat in together]) as stepper:
            go_on(together, stepper, interruption, later[0] if later else None)
    for seat in seats:
        seat.training.weights.end()


@contextmanager
def _stepper(trainings: Sequence[Training]) -> Iterator[Stepper]:
    """Yield what takes steps of one training, or of several that stand at the same place."""
    if len(trainings) == 1:
        yield trainings[0]
        return
    stack = Stack(trainings)
    try:
        yield stack
    finally:
        stack.dissolve()


class Stack:
    """Trainings of one variant that stand at the same place, and take their steps together."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        self.trainings = trainings
        objectives = [training.objective for training in trainings]
        self.loss = Loss(_copied(objectives[0]))
        model = self.loss.model
        by_equations(model)  # kernels of one model cannot compute several
        self.parameters = _stacked(model, [objective.model for objective in objectives])
        set_generators(model, [objective.generators["dropout"] for objective in objectives])
        alone = trainings[0].optimisation
        self.optimisation = StackedOptimisation(model, alone.options, alone.steps)
        self.optimisation.gather([training.moments() for training in trainings], alone.taken)
        for number, training in enumerate(trainings):
            training.moments = partial(self.optimisation.of_seed, number)

    def take_steps(self) -> Iterator[None]:
        """Take the steps of the epoch that are left, and stop behind each."""
        self.loss.train()
        for read in zip(*map(_reads, self.trainings), strict=True):
            losses, carried = self.losses(read)
            for number, training in enumerate(self.trainings):
                training.objective.carried = tuple(part[number] for part in carried)
            rates = [
                self.optimisation.rate(of.validations, of.objective.part) for of in self.trainings
            ]
            self.optimisation.step_all(losses, rates)
            for training, loss in zip(self.trainings, losses.detach().unbind(), strict=True):
                training.took(loss)
            yield

    def losses(self, read: Sequence[Read]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the loss (S,) of what each seed reads, and what each carries to the next step."""
        device = self.optimisation.parameters[0].device
        together = tuple(_side_by_side(parts, device) for parts in zip(*read, strict=True))
        dims = tuple(None if part is None else 0 for part in together)
        found: tuple[Tensor, tuple[Tensor, ...]] = vmap(self._of_one, in_dims=(0, dims))(
            self.parameters, together
        )
        return found

    def _of_one(self, parameters: dict[str, Tensor], read: Read) -> Any:
        return functional_call(self.loss, parameters, read)

    def dissolve(self) -> None:
        """Let each training go on by itself."""
        for training in self.trainings:
            training.optimisation.restore(training.moments(), self.optimisation.taken)
            training.moments = training.optimisation.state


class StackedOptimisation(Optimisation):
    """Steps of several seeds at once: each with its own gradient, clip and rate."""

    def gather(self, moments: Sequence[Mapping[str, Tensor]], taken: int) -> None:
        """Take over what is kept of each seed after so many steps."""
        first = moments[0]
        together = {
            name: first[name] if _is_count(name) else torch.stack([of[name] for of in moments])
            for name in first
        }
        self.restore(together, taken)

    def of_seed(self, number: int) -> dict[str, Tensor]:
        """Return what is kept of each parameter of a seed."""
        kept = self.state()
        return {name: of if _is_count(name) else of[number] for name, of in kept.items()}

    def step_all(self, losses: Tensor, rates: Sequence[float]) -> None:
        """Go one step down the gradient of each loss (S,), at its rate.

        A step is proportional to its rate with every optimiser here: where rates differ, those with
        a lower one go their share of a step at the highest.
        """
        highest = max(rates)
        if min(rates) == highest:
            self.move(losses.sum(), highest)
            return
        before = [parameter.detach().clone() for parameter in self.parameters]
        self.move(losses.sum(), highest)
        shares = losses.new_tensor([rate / highest for rate in rates])
        with torch.no_grad():
            for parameter, start in zip(self.parameters, before, strict=True):
                parameter.copy_(start.lerp(parameter, _beside(shares, parameter)))

    def clip(self, largest: float) -> None:
        """Let the global norm of each seed's gradient be no larger."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
        shares = (largest / (norms + 1e-6)).clamp_max(1.0)  # as clip_grad_norm_ has it
        for gradient in gradients:
            gradient.mul_(_beside(shares, gradient))


def _copied(objective: Objective) -> Objective:
    """Return an objective with a model of its own, on the same data."""
    found = copy.copy(objective)
    set_generator(objective.model, None)  # it cannot be copied
    found.model = copy.deepcopy(objective.model)
    set_generator(objective.model, objective.generators["dropout"])
    return found


def _stacked(model: nn.Module, models: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Stack the parameters of models: in `model`, and as the memory in which theirs lie.

    Returns them by their names in `Loss`; those that are not trained are in `model` as they are.
    """
    for layer in (layer for of in models for layer in of.modules()):
        if isinstance(layer, nn.RNNBase):  # what weight drop has left for later: on a GPU the layer
            layer._update_flat_weights()  # would then move its weights out of the stack
    named = [dict(of.named_parameters()) for of in models]
    stacks: dict[nn.Parameter, nn.Parameter] = {}
    for name, own in model.named_parameters():
        if own.requires_grad:
            together = torch.stack([of[name].detach() for of in named])
            stacks[own] = nn.Parameter(together)
            for one, of in zip(together, named, strict=True):
                of[name].data = one
    for module in model.modules():  # a matrix may stand in two places
        for name, parameter in module.named_parameters(recurse=False):
            if parameter in stacks:
                module.register_parameter(name, stacks[parameter])
    return {f"model.{n}": p for n, p in model.named_parameters() if p.requires_grad}


def _reads(training: Training) -> Iterator[Read]:
    return training.objective.reads(training.epoch, training.steps)


def _side_by_side(parts: Sequence[Tensor | None], device: torch.device) -> Tensor | None:
    """Return what seeds read, of one shape, as one tensor; None where they read nothing."""
    there = [part for part in parts if part is not None]
    return torch.stack(there).to(device) if there else None


def _is_count(name: str) -> bool:
    """Say whether what an optimiser keeps under this name is the number of its steps."""
    return name.endswith(".step")


def _beside(shares: Tensor, parameter: Tensor) -> Tensor:
    """Return shares (S,) as numbers for parameters (S, …)."""
    return shares.view(-1, *[1] * (parameter.dim() - 1))
