"""The training loop: the same for every model, task and variant."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Protocol

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from unroll.errors import TrainingError, UserError, first_line
from unroll.kinds import kind_of
from unroll.options import Strict, VariantOptions
from unroll.training.checkpoint import Checkpoint, Snapshot, Unfit
from unroll.training.interruption import Interrupted, Interruption
from unroll.training.objective import Objective
from unroll.training.optimisation import Optimisation
from unroll.training.weights import KEEP

REPORT_SECONDS = 1.0


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
    train_seconds: float  # where several seeds take their steps together, its share of them
    valid_seconds: float
    stacked: int = 1  # seeds that took these steps together


@dataclass(frozen=True)
class Resumed:
    """The training goes on from a checkpoint: after these epochs, and so many steps of the next."""

    epochs: tuple[Epoch, ...]
    step: int
    sources: tuple[str, ...] = ()  # digests of the sources by which it was trained so far


Place = tuple[int, int]  # an epoch, from 1, and the steps of it that were taken

Report = Callable[[Step | Epoch | Resumed], None]


class EpochFacts(Strict):
    """An epoch, as a checkpoint holds it."""

    epoch: int
    metrics: dict[str, int | float]
    ended: float
    train_seconds: float
    valid_seconds: float
    stacked: Annotated[int, Field(ge=1)] = 1


class StandsAt(Strict):
    """Where a training stands, as a checkpoint holds it beside tensors."""

    history: list[EpochFacts]
    step: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Training:
    """A training that can be ended after any step and taken up again."""

    def __init__(self, objective: Objective, options: VariantOptions) -> None:
        self.objective = objective
        self.epochs = options.epochs
        self.optimisation = Optimisation(objective.model, options, options.epochs * objective.steps)
        self.moments = self.optimisation.state  # what is kept of its steps
        self.weights = KEEP[options.keep](objective.model, options)
        self.main = kind_of(options).main
        self.history: list[Epoch] = []
        self.validations: list[float] = []  # what decides, for each of them: lower is better
        self.steps = 0  # taken of the epoch that runs
        self.total: Tensor | None = None  # sum of their losses
        self.seconds = 0.0  # that they took
        self.sources: tuple[str, ...] = ()  # by which it was trained before it was taken up

    @property
    def epoch(self) -> int:
        """The epoch that runs, from 1; one more than there are when all is done."""
        return len(self.history) + 1

    @property
    def place(self) -> Place:
        """Where it stands: the epoch that runs, and the steps of it that were taken."""
        return self.epoch, self.steps

    def step(self, loss: Tensor) -> None:
        """Take a step down the gradient of a loss."""
        self.optimisation.step(loss, self.validations, self.objective.part)
        self.took(loss.detach())

    def took(self, loss: Tensor) -> None:
        """Note a step that was taken, and its loss."""
        self.weights.after_step(self.validations)
        self.total = loss if self.total is None else self.total + loss
        self.steps += 1

    def take_steps(self) -> Iterator[None]:
        """Take the steps of the epoch that are left, and stop behind each."""
        for loss in self.objective.losses(self.epoch, self.steps):
            self.step(loss)
            yield

    def score(self, interruption: Interruption) -> Epoch:
        """Return what the epoch has brought, whose steps are taken.

        Raises:
            TrainingError: a metric is not a finite number.
            Interrupted: the run was asked to end.
        """
        started = time.perf_counter()
        with interruption.anywhere(), self.weights.validated():
            scores = self.objective.validate()
        row = {"epoch": self.epoch, "train_loss": self.mean_loss(), **scores}
        _check_finite(row, f"epoch {self.epoch}")
        seconds = time.perf_counter() - started
        return Epoch(self.epoch, row, time.time(), self.seconds, seconds)

    def _deciding(self, epoch: Epoch) -> float:
        return -self.main.sign * epoch.metrics[f"valid_{self.main.name}"]

    def rows(self) -> list[dict[str, float]]:
        """Return the history: a row for each epoch."""
        return [epoch.metrics for epoch in self.history]

    def end_epoch(self, epoch: Epoch) -> None:
        """Note what the epoch has brought; the next one begins."""
        self.history.append(epoch)
        self.validations.append(self._deciding(epoch))
        self.weights.after_epoch(self.validations)
        self.steps, self.total, self.seconds = 0, None, 0.0

    def snapshot(self) -> Snapshot:
        """Return all that decides how the training goes on.

        Raises:
            TrainingError: the loss or a weight is not finite: nothing to go on from.
        """
        objective, model = self.objective, dict(self.objective.model.named_parameters())
        finite = torch.stack([p.isfinite().all() for p in model.values()]).all()
        _check_finite({"a weight": 0.0 if finite else math.nan}, self._place())
        if self.total is not None:
            self.mean_loss()
        tensors: dict[str, Tensor] = {f"model.{name}": p for name, p in model.items()}
        tensors |= {f"objective.{name}": t for name, t in objective.state().items()}
        tensors |= {f"generator.{name}": g.get_state() for name, g in objective.generators.items()}
        tensors |= {f"optimiser.{name}": t for name, t in self.moments().items()}
        tensors |= {f"weights.{name}": t for name, t in self.weights.state().items()}
        if self.total is not None:
            tensors["total"] = self.total
        facts = {
            "history": [asdict(epoch) for epoch in self.history],
            "step": self.steps,
            "seconds": self.seconds,
        }
        return Snapshot(tensors, facts, self.sources)

    def restore(self, snapshot: Snapshot) -> None:
        """Bring the training to where the snapshot was taken.

        Raises:
            Unfit: it is not of such a training.
        """
        stands, tensors = self._stands(snapshot.facts), dict(snapshot.tensors)
        with torch.no_grad():
            for name, parameter in self.objective.model.named_parameters():
                parameter.copy_(_take(tensors, f"model.{name}", parameter.shape))
        for name, generator in self.objective.generators.items():
            state = generator.get_state()
            try:
                generator.set_state(_take(tensors, f"generator.{name}", state.shape).to("cpu"))
            except (RuntimeError, TypeError) as error:  # no state of a generator
                raise Unfit(f"generator {name}: {first_line(error)}") from None
        if (stands.step > 0) != ("total" in tensors):
            raise Unfit(f"step {stands.step} is no step of the epoch")
        if "total" in tensors:
            device = next(self.objective.model.parameters()).device
            self.total = _take(tensors, "total", torch.Size()).to(device)
        if stands.step:
            self.objective.restore(_part(tensors, "objective."))
        taken = len(stands.history) * self.objective.steps + stands.step
        self.optimisation.restore(_part(tensors, "optimiser."), taken)
        self.history = [Epoch(**epoch.model_dump()) for epoch in stands.history]
        self.validations = [self._deciding(epoch) for epoch in self.history]
        self.weights.restore(_part(tensors, "weights."), self.validations)
        self.steps, self.seconds = stands.step, stands.seconds
        self.sources = snapshot.sources

    def _stands(self, facts: Mapping[str, Any]) -> StandsAt:
        try:
            stands = StandsAt.model_validate(facts)
        except ValidationError as error:
            raise Unfit(f"it does not say where the training stands: {first_line(error)}") from None
        if stands.step > self.objective.steps:
            raise Unfit(f"step {stands.step} is no step of the epoch")
        if [epoch.epoch for epoch in stands.history] != list(range(1, len(stands.history) + 1)):
            raise Unfit("the history lacks epochs")
        if len(stands.history) > self.epochs:
            raise Unfit("the history has too many epochs")
        numbers = [
            number
            for epoch in stands.history
            for number in (
                *epoch.metrics.values(),
                epoch.ended,
                epoch.train_seconds,
                epoch.valid_seconds,
            )
        ]
        if not all(math.isfinite(number) for number in numbers):
            raise Unfit("the history holds more than numbers")
        return stands

    def mean_loss(self) -> float:
        """Return the mean loss since the epoch began.

        Raises:
            TrainingError: it is not a finite number.
        """
        assert self.total is not None, "an epoch has at least one step"
        loss = self.total.item() / self.steps
        _check_finite({"train_loss": loss}, self._place())
        return loss

    def _place(self) -> str:
        return f"epoch {self.epoch}, by step {self.steps}"


@dataclass(frozen=True)
class Seat:
    """A training that is under way with others: whom it reports to, and where it is kept."""

    training: Training
    report: Report
    checkpoint: Checkpoint | None = None

    def take_up(self) -> None:
        """Go on from the checkpoint, where there is one.

        Raises:
            DataError: it is damaged, or not of such a training.
        """
        if self.checkpoint is None:
            return
        training = self.training
        with self._blamed():
            if (snapshot := self.checkpoint.read()) is None:
                return
            try:
                training.restore(snapshot)
            except Unfit as error:
                raise self.checkpoint.unfit(error) from None
        self.report(Resumed(tuple(training.history), training.steps, training.sources))

    def snapshot(self) -> Snapshot:
        """Return all that decides how the training goes on."""
        with self._blamed():
            return self.training.snapshot()

    def tell(self) -> None:
        """Report where the training stands."""
        of, steps = self.training, self.training.objective.steps
        with self._blamed():
            loss = of.mean_loss()
        self.report(Step(of.epoch, of.steps, steps, loss))

    def score(self, interruption: Interruption, stacked: int) -> Epoch:
        """Return what the epoch has brought, whose steps so many took together."""
        with self._blamed():
            return replace(self.training.score(interruption), stacked=stacked)

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """Let an error say of which seed it is."""
        try:
            yield
        except UserError as error:
            error.seed = self.training.objective.seed
            raise


class Stepper(Protocol):
    """Takes steps of one training, or of several at once."""

    def take_steps(self) -> Iterator[None]:
        """Take the steps of the epoch that are left, and stop behind each."""


def train(
    objective: Objective,
    options: VariantOptions,
    report: Report,
    checkpoint: Checkpoint | None = None,
    interruption: Interruption | None = None,
) -> list[dict[str, float]]:
    """Train for `options.epochs` epochs; return the history, one row an epoch.

    With a checkpoint, the training goes on from it where there is one, and leaves one at the end of
    each epoch, when one is due, and where it is interrupted.

    Raises:
        TrainingError: the loss or a metric is no longer a finite number.
        DataError: the checkpoint is damaged.
        Interrupted: the run was asked to end.
    """
    seat = Seat(Training(objective, options), report, checkpoint)
    seat.take_up()
    go_on([seat], seat.training, interruption or Interruption())
    seat.training.weights.end()
    return seat.training.rows()


def go_on(
    seats: Sequence[Seat], stepper: Stepper, interruption: Interruption, until: Place | None = None
) -> None:
    """Take trainings that stand at the same place to another one, or through all their epochs.

    As `train` does; the weights are then still those of the last step.
    """
    first = seats[0].training
    until = until or (first.epochs + 1, 0)
    try:
        while first.place < until:
            _take_steps(seats, stepper, interruption, until)
            if first.place >= until:
                return
            _end_epoch(seats, interruption)
            _keep(seats)
    except Interrupted:
        _keep(seats)
        raise


def _keep(seats: Sequence[Seat]) -> None:
    """Write a checkpoint of each: of all, or where one is to be refused of none."""
    snapshots = [(seat.checkpoint, seat.snapshot()) for seat in seats if seat.checkpoint]
    for checkpoint, snapshot in snapshots:
        checkpoint.write(snapshot)


def _end_epoch(seats: Sequence[Seat], interruption: Interruption) -> None:
    """Score the validation split, and report what the epoch has brought.

    Scoring may take long: where it is interrupted, the epoch has ended for none of them.
    """
    epochs = [seat.score(interruption, len(seats)) for seat in seats]
    for seat, epoch in zip(seats, epochs, strict=True):
        seat.training.end_epoch(epoch)
    for seat, epoch in zip(seats, epochs, strict=True):
        seat.report(epoch)


def _take_steps(
    seats: Sequence[Seat], stepper: Stepper, interruption: Interruption, until: Place
) -> None:
    """Take the steps of an epoch that are left, but none beyond a place."""
    first = seats[0].training
    if first.steps == first.objective.steps:
        return
    for seat in seats:
        seat.training.objective.model.train()
    reported, ran = time.monotonic(), time.perf_counter()
    for _ in stepper.take_steps():
        now = time.perf_counter()
        for seat in seats:
            seat.training.seconds += (now - ran) / len(seats)  # its share
        ran = now
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            for seat in seats:
                seat.tell()
        _keep([of for of in seats if of.checkpoint and of.checkpoint.due(of.training.steps)])
        interruption.check()
        if first.place >= until:
            return


def _take(tensors: Mapping[str, Tensor], name: str, shape: torch.Size) -> Tensor:
    """Return a tensor of a snapshot.

    Raises:
        Unfit: it is missing or of another shape.
    """
    if name not in tensors or tensors[name].shape != shape:
        raise Unfit(f"{name} is missing or of another shape")
    return tensors[name]


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with the prefix, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _check_finite(metrics: Mapping[str, Any], place: str) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"{name} became {value} in {place}; "
                "lower learning_rate, set clip, or use precision: float32"
            )
