"""The training loop: the same for every model, task and variant."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from unroll.config import VariantOptions
from unroll.errors import DataError, first_line
from unroll.training.checkpoint import Checkpoint, Snapshot
from unroll.training.interruption import Interrupted, Interruption
from unroll.training.objectives import Objective
from unroll.training.optimisation import Optimisation

REPORT_SECONDS = 1.0

# What taking over a snapshot of something else raises.
UNFIT = (AttributeError, LookupError, TypeError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Step:
    """Where training stands in the middle of an epoch."""

    epoch: int
    step: int
    steps: int  # per epoch
    loss: float  # mean since the epoch began


@dataclass(frozen=True)
class Epoch:
    """What an epoch brought: its row of the history, when it ended, and the seconds it took."""

    epoch: int
    metrics: dict[str, float]
    ended: float  # seconds since 1970
    train_seconds: float
    valid_seconds: float


@dataclass(frozen=True)
class Resumed:
    """The training goes on from a checkpoint: after these epochs, and so many steps of the next."""

    epochs: tuple[Epoch, ...]
    step: int


Report = Callable[[Step | Epoch | Resumed], None]


class Training:
    """A training that can be ended after any step and taken up again."""

    def __init__(
        self,
        objective: Objective,
        options: VariantOptions,
        generators: Mapping[str, torch.Generator],
    ) -> None:
        self.objective, self.generators = objective, generators
        self.epochs = options.epochs
        self.optimisation = Optimisation(objective.model, options, options.epochs * objective.steps)
        self.history: list[Epoch] = []
        self.step = 0  # steps taken of the epoch that runs
        self.total: Tensor | None = None  # sum of their losses
        self.seconds = 0.0  # that they took

    @property
    def epoch(self) -> int:
        """The epoch that runs, from 1; one more than there are when all is done."""
        return len(self.history) + 1

    def snapshot(self) -> Snapshot:
        """Return all that decides how the training goes on.

        Raises:
            DataError: the loss or a weight is not finite: nothing to go on from.
        """
        model = dict(self.objective.model.named_parameters())
        finite = torch.stack([p.isfinite().all() for p in model.values()]).all()
        _check_finite({"a weight": 0.0 if finite else math.nan}, self._place())
        if self.total is not None:
            self.mean_loss()
        tensors: dict[str, Tensor] = {f"model.{name}": p for name, p in model.items()}
        tensors |= {f"objective.{name}": t for name, t in self.objective.state().items()}
        tensors |= {f"generator.{name}": g.get_state() for name, g in self.generators.items()}
        optimiser_tensors, optimiser_facts = self.optimisation.state()
        tensors |= {f"optimiser.{name}": t for name, t in optimiser_tensors.items()}
        if self.total is not None:
            tensors["total"] = self.total
        facts = {
            "history": [asdict(epoch) for epoch in self.history],
            "step": self.step,
            "seconds": self.seconds,
            "optimiser": optimiser_facts,
        }
        return Snapshot(tensors, facts)

    def restore(self, snapshot: Snapshot) -> None:
        """Bring the training to where the snapshot was taken.

        Raises:
            UNFIT: it is not of such a training.
        """
        facts, tensors = snapshot.facts, snapshot.tensors
        with torch.no_grad():
            for name, parameter in self.objective.model.named_parameters():
                if tensors[f"model.{name}"].shape != parameter.shape:
                    raise ValueError(f"{name} is of another shape")
                parameter.copy_(tensors[f"model.{name}"])
        self.objective.restore(_part(tensors, "objective."))
        for name, generator in self.generators.items():
            generator.set_state(tensors[f"generator.{name}"])
        self.optimisation.restore(_part(tensors, "optimiser."), facts["optimiser"])
        self.history = [Epoch(**epoch) for epoch in facts["history"]]
        self.step, self.seconds = facts["step"], facts["seconds"]
        device = next(self.objective.model.parameters()).device
        self.total = tensors["total"].to(device) if "total" in tensors else None
        within = 0 <= self.step <= self.objective.steps and self.seconds >= 0
        if not within or bool(self.step) != (self.total is not None):
            raise ValueError(f"step {self.step} is no step of the epoch")
        if [epoch.epoch for epoch in self.history] != list(range(1, self.epoch)):
            raise ValueError("the history lacks epochs")
        numbers = [(*e.metrics.values(), e.ended, e.train_seconds) for e in self.history]
        if not all(math.isfinite(number) for row in numbers for number in row):
            raise ValueError("the history holds more than numbers")

    def mean_loss(self) -> float:
        """Return the mean loss since the epoch began.

        Raises:
            DataError: it is not a finite number.
        """
        assert self.total is not None, "an epoch has at least one step"
        loss = self.total.item() / self.step
        _check_finite({"train_loss": loss}, self._place())
        return loss

    def _place(self) -> str:
        return f"epoch {self.epoch}, by step {self.step}"


def train(
    objective: Objective,
    options: VariantOptions,
    report: Report,
    checkpoint: Checkpoint | None = None,
    generators: Mapping[str, torch.Generator] | None = None,
    interruption: Interruption | None = None,
) -> list[dict[str, float]]:
    """Train for `options.epochs` epochs; return the history, one row an epoch.

    With a checkpoint, the training goes on from it where there is one, and leaves one at the end of
    each epoch, when one is due, and where it is interrupted. `generators` are those that the model
    draws from.

    Raises:
        DataError: the loss or a metric is no longer a finite number, or the checkpoint is damaged.
        Interrupted: the run was asked to end.
    """
    training = Training(objective, options, generators or {})
    interruption = interruption or Interruption()
    if checkpoint is not None and (snapshot := checkpoint.read()) is not None:
        try:
            training.restore(snapshot)
        except UNFIT as error:
            raise checkpoint.unfit(first_line(error)) from None
        report(Resumed(tuple(training.history), training.step))
    try:
        while training.epoch <= training.epochs:
            _run_epoch(training, report, checkpoint, interruption)
            if checkpoint is not None:
                checkpoint.write(training.snapshot())
    except Interrupted:
        if checkpoint is not None:
            checkpoint.write(training.snapshot())
        raise
    return [epoch.metrics for epoch in training.history]


def _run_epoch(
    training: Training,
    report: Report,
    checkpoint: Checkpoint | None,
    interruption: Interruption,
) -> None:
    """Take the steps of an epoch that are left, and score the validation split."""
    _take_steps(training, report, checkpoint, interruption)
    started = time.perf_counter()
    with interruption.anywhere():  # it may take long, and changes nothing
        scores = training.objective.validate()
    row = {"epoch": training.epoch, "train_loss": training.mean_loss(), **scores}
    _check_finite(row, f"epoch {training.epoch}")
    seconds = time.perf_counter() - started
    epoch = Epoch(training.epoch, row, time.time(), training.seconds, seconds)
    training.history.append(epoch)
    training.step, training.total, training.seconds = 0, None, 0.0
    report(epoch)


def _take_steps(
    training: Training,
    report: Report,
    checkpoint: Checkpoint | None,
    interruption: Interruption,
) -> None:
    steps = training.objective.steps
    training.objective.model.train()
    reported, ran = time.monotonic(), time.perf_counter()
    for loss in training.objective.losses(training.step):
        training.optimisation.step(loss)
        detached = loss.detach()
        training.total = detached if training.total is None else training.total + detached
        training.step += 1
        now = time.perf_counter()
        training.seconds, ran = training.seconds + now - ran, now
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            report(Step(training.epoch, training.step, steps, training.mean_loss()))
        if checkpoint is not None and checkpoint.due(training.step):
            checkpoint.write(training.snapshot())
        interruption.check()


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with the prefix, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _check_finite(metrics: Mapping[str, Any], place: str) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise DataError(
                f"{name} became {value} in {place}; "
                "lower learning_rate, set clip, or use precision: float32"
            )
