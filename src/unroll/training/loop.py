"""The training loop: the same for every model, task and variant."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from unroll.config import VariantOptions
from unroll.errors import DataError
from unroll.training.objectives import Objective
from unroll.training.optimisation import Optimisation

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
    """What an epoch brought: its row of the history, and the seconds it took."""

    epoch: int
    metrics: dict[str, float]
    train_seconds: float
    valid_seconds: float


def train(
    objective: Objective, options: VariantOptions, report: Callable[[Step | Epoch], None]
) -> list[dict[str, float]]:
    """Train for `options.epochs` epochs; return the history, one row an epoch.

    Raises:
        DataError: the loss or a metric is no longer a finite number.
    """
    optimisation = Optimisation(objective.model, options, options.epochs * objective.steps)
    history = []
    for epoch in range(1, options.epochs + 1):
        started = time.perf_counter()
        loss = _run_epoch(objective, optimisation, epoch, report)
        trained = time.perf_counter()
        row = {"epoch": epoch, "train_loss": loss, **objective.validate()}
        _check_finite(row, f"epoch {epoch}")
        history.append(row)
        report(Epoch(epoch, row, trained - started, time.perf_counter() - trained))
    return history


def _run_epoch(
    objective: Objective,
    optimisation: Optimisation,
    epoch: int,
    report: Callable[[Step | Epoch], None],
) -> float:
    """Take every step of an epoch; return the mean loss."""
    objective.model.train()
    total: torch.Tensor | None = None
    reported = time.monotonic()
    for step, loss in enumerate(objective.losses(), 1):
        optimisation.step(loss)
        total = loss.detach() if total is None else total + loss.detach()
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            report(Step(epoch, step, objective.steps, _mean(total, step, epoch)))
    assert total is not None, "an epoch has at least one step"
    return _mean(total, objective.steps, epoch)


def _mean(total: torch.Tensor, step: int, epoch: int) -> float:
    loss = total.item() / step
    _check_finite({"train_loss": loss}, f"epoch {epoch}, by step {step}")
    return loss


def _check_finite(metrics: dict[str, float], place: str) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise DataError(
                f"{name} became {value} in {place}; "
                "lower learning_rate, set clip, or use precision: float32"
            )
