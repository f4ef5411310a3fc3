"""Many seeds of a variant as one program: their parameters stacked, their steps taken at once.

Models that are so small do little at each step but begin it: on a GPU all seeds take hardly more
time than one. Each seed has its own weights, order of data, dropout and clipping, as alone. What
holds the state of its training is that of a training alone, whose weights lie in the stack.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from unroll.models.dropout import set_generator
from unroll.models.recurrence import by_equations
from unroll.training.interruption import Interruption
from unroll.training.loop import Seat, Training, go_on
from unroll.training.objective import Objective, Read
from unroll.training.optimisation import Optimisation


def train_together(seats: Sequence[Seat], interruption: Interruption) -> None:
    """Take up trainings of one variant and take them to their end, as `loop.train` does.

    Those that stand at the same place are trained together; those that lag behind, first.

    Raises:
        TrainingError: a loss or a metric is no longer a finite number.
        DataError: a checkpoint is damaged.
        Interrupted: the run was asked to end.
    """

    def place(seat: Seat) -> tuple[int, int]:
        return seat.training.epoch, seat.training.steps

    for seat in seats:
        seat.take_up()
    for _, of_place in groupby(sorted(seats, key=place), place):
        together = list(of_place)
        trainings = [seat.training for seat in together]
        go_on(together, Stack(trainings) if len(trainings) > 1 else trainings[0], interruption)


class Stack:
    """Trainings of one variant that stand at the same place, and take their steps together."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        self.trainings = trainings
        objectives = [training.objective for training in trainings]
        self.loss = _Loss(_copied(objectives[0]))
        model = self.loss.model
        by_equations(model)  # kernels of one model cannot compute several
        self.parameters = _stacked(model, [objective.model for objective in objectives])
        set_generator(model, *(objective.generators["dropout"] for objective in objectives))
        self.optimisation = StackedOptimisation(model, trainings)
        for number, training in enumerate(trainings):
            training.optimisation = OfSeed(self.optimisation, number)  # type: ignore[assignment]

    def take_steps(self) -> Iterator[None]:
        """Take the steps of the epoch that are left, and stop behind each."""
        self.loss.train()
        for read in zip(*map(_reads, self.trainings), strict=True):
            losses, carried = self.losses(read)
            for number, training in enumerate(self.trainings):
                training.objective.carried = tuple(part[number] for part in carried)
            self.optimisation.step_all(losses)
            for training, loss in zip(self.trainings, losses.detach().unbind(), strict=True):
                training.took(loss)
            yield

    def losses(self, read: Sequence[Read]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the loss (S,) of what each seed reads, and what each carries to the next step."""
        together = [_side_by_side(parts) for parts in zip(*read, strict=True)]
        dims = tuple(None if part is None else 0 for part in together)
        found: tuple[Tensor, tuple[Tensor, ...]] = vmap(self._of_one, in_dims=(0, dims))(
            self.parameters, tuple(together)
        )
        return found

    def _of_one(self, parameters: dict[str, Tensor], read: Read) -> Any:
        return functional_call(self.loss, parameters, read)


class StackedOptimisation(Optimisation):
    """Steps of several seeds at once: each with its own gradient, clip and rate."""

    def __init__(self, model: nn.Module, trainings: Sequence[Training]) -> None:
        first = trainings[0]
        super().__init__(model, first.optimisation.options, first.optimisation.steps)
        self.trainings = trainings
        states = [training.optimisation.state() for training in trainings]
        together = {
            name: torch.stack([of[name] for of in states]) if one.dim() else one
            for name, one in states[0].items()  # without dimensions: the number of steps
        }
        self.restore(together, first.optimisation.taken)

    def step_all(self, losses: Tensor) -> None:
        """Go one step down the gradient of each loss (S,).

        Rates may differ by what validation has brought. A step is proportional to its rate with
        every optimiser here: those with a lower one go their share of a step at the highest.
        """
        rates = [self.rate(of.validations, of.objective.part) for of in self.trainings]
        shares = losses.new_tensor([rate / (max(rates) or 1.0) for rate in rates])
        differ = min(rates) < max(rates)
        before = [p.detach().clone() for p in self.parameters] if differ else []
        self.move(losses.sum(), max(rates))
        with torch.no_grad():
            for parameter, start in zip(self.parameters, before, strict=differ):
                parameter.copy_(start.lerp(parameter, _beside(shares, parameter)))

    def clip(self, largest: float) -> None:
        """Let the global norm of each seed's gradient be no larger."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
        shares = (largest / (norms + 1e-6)).clamp_max(1.0)  # as clip_grad_norm_ has it
        for gradient in gradients:
            gradient.mul_(_beside(shares, gradient))


class OfSeed:
    """What an optimiser of several seeds keeps of one, for its checkpoint."""

    def __init__(self, optimisation: StackedOptimisation, number: int) -> None:
        self.optimisation, self.number = optimisation, number

    def state(self) -> dict[str, Tensor]:
        """Return what is kept of each parameter."""
        kept = self.optimisation.state()
        return {name: of[self.number] if of.dim() else of for name, of in kept.items()}


class _Loss(nn.Module):
    """The loss of a step as a module, whose parameters can be other ones for each call."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.model = objective.model
        self.of: Callable[..., tuple[Tensor, tuple[Tensor, ...]]] = objective.loss

    def forward(self, *read: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        return self.of(*read)


def _copied(objective: Objective) -> Objective:
    """Return an objective with a model of its own, on the same data."""
    found, generators = copy.copy(objective), objective.generators["dropout"]
    set_generator(objective.model)  # these cannot be copied
    found.model = copy.deepcopy(objective.model)
    set_generator(objective.model, generators)
    return found


def _stacked(model: nn.Module, models: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Stack the parameters of models: in `model`, and as the memory in which theirs lie.

    Returns them by their names in `_Loss`; those that are not trained are in `model` as they are.
    """
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


def _side_by_side(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Return what seeds read as one tensor; where they draw their pairs, widths may differ."""
    there = [part for part in parts if part is not None]
    if not there:
        return None
    if there[0].dim() == 2:
        widest = max(part.shape[1] for part in there)
        there = [nn.functional.pad(of, (0, widest - of.shape[1])) for of in there]
    return torch.stack(there)


def _beside(shares: Tensor, parameter: Tensor) -> Tensor:
    """Return shares (S,) as numbers for parameters (S, …)."""
    return shares.view(-1, *[1] * (parameter.dim() - 1))
