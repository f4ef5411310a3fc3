"""What a variant's training does, at toy size."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unroll.data import batches
from unroll.evaluation import reading
from unroll.kinds import kind_of
from unroll.options import Compute, VariantOptions, resolved
from unroll.plans.plan import projections, rounded
from unroll.training.checkpoint import Checkpoint
from unroll.training.interruption import Interrupted, Interruption
from unroll.training.loop import Resumed, train
from unroll.training.machine import Machine
from unroll.training.objective import Objective
from unroll.training.optimisation import Optimisation
from unroll.training.run import begin
from unroll.training.schedules import SCHEDULES
from unroll.training.sources import tokens_digest
from unroll.training.weights import KEEP, Average

MACHINE = Machine("cpu", "float32", threads=1)  # without autocast, so that float64 stays what it is
SEED = 3
LARGE = 1000.0  # what the loss is multiplied by where the gradient is to be clipped
SHORT = 5  # words that a stream of a toy reads before those that it predicts
FEW = 150  # logits at once: so few that a toy, too, is scored in several parts
LIVELY = 5.0  # what first weights are multiplied by, so that answers depend on what is read
VALIDATIONS = (5.0, 4.0, 4.5, 4.0, 3.0, 3.1, 3.2, 2.0, 2.5, 4.2)  # of ten epochs of these steps
HOW = ("workers", "executor")  # changes how seeds are trained, and not what they leave
STEPS = 100  # of the schedule: a toy has too few to show how it rises


def training_plan(options: VariantOptions, compute: Compute) -> dict[str, Any]:
    """Return the plan of a variant's training."""
    toy = miniature(options)
    wanted = resolved(options)
    return {
        "seeds": wanted.pop("seeds"),
        "options": wanted,
        "compute": {n: v for n, v in compute.model_dump().items() if n not in HOW},
        "torch": torch.__version__.partition("+")[0],
        "unseen": {name: tokens_digest(name)[:16] for name in kind_of(options).unseen},
        "behaviour": rounded(behaviour(toy)),
    }


def behaviour(toy: VariantOptions) -> dict[str, Any]:
    """Return what a toy's training does."""
    kind, data = kind_of(toy), kind_of(toy).made_up(toy)
    with in_parts():
        scored = lively(toy)
        right = kind.objective(scored, kind.half_right(data, scored, toy), toy, SEED, MACHINE)
        return {
            "initial weights": projections(_objective(toy).model),
            "validated": right.validate(),
            **_trained(toy),
            "clipped": _clipped(toy),
            **_averaged(toy),
            "rates": [
                SCHEDULES[toy.schedule](step, STEPS, VALIDATIONS[: step // 10])
                for step in range(0, STEPS, 7)
            ],
            "bfloat16": _precisions(toy),
        }


@contextmanager
def in_parts() -> Iterator[None]:
    """Score in parts what is small enough to be scored at once, in streams what is short."""
    before = batches.LARGEST, reading.WARM_UP
    batches.LARGEST, reading.WARM_UP = FEW, SHORT
    try:
        yield
    finally:
        batches.LARGEST, reading.WARM_UP = before


def miniature(options: VariantOptions) -> VariantOptions:
    """Return a variant's options at toy size."""
    small: dict[str, Any] = {"embedding_size": 6, "epochs": 3, "batch_size": 4}
    small["learning_rate"] = min(options.learning_rate, 0.05)
    if "time_steps" in type(options).model_fields:
        small["time_steps"] = 5
    # As tall as it is, but so narrow: where the embedding is tied it follows.
    return options.model_copy(update=small).resized(8)


def _objective(toy: VariantOptions) -> Objective:
    return begin(toy, kind_of(toy).made_up(toy), SEED, MACHINE, torch.float64)


def lively(toy: VariantOptions) -> nn.Module:
    """Return a toy's model that answers now this and now that, and comes to an end."""
    model = _objective(toy).model
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(LIVELY if parameter.dim() > 1 else 0)
    return model


class _Killed(BaseException):
    """The training was ended without a word."""


class _Ends(Interruption):
    """Ends a training after so many steps."""

    def __init__(self, steps: int, how: type[BaseException]) -> None:
        super().__init__()
        self.left, self.how = steps, how

    def check(self) -> None:
        """Count a step."""
        self.left -= 1
        if self.left == 0:
            raise self.how

    @contextmanager
    def anywhere(self) -> Iterator[None]:
        """Let what reads alone come to its end."""
        yield


def _trained(toy: VariantOptions) -> dict[str, Any]:
    """Return what a training leaves: in one go, and broken off twice.

    It is asked to end in the middle of its second epoch, and killed after a step of its third: it
    goes on in the middle of the one and at the beginning of the other.
    """
    straight = _objective(toy)
    history = train(straight, toy, _silent)
    asked = straight.steps + straight.steps // 2 + 1
    killed = 2 * straight.steps - asked + 1
    resumes: list[tuple[int, int]] = []

    def note(message: object) -> None:
        if isinstance(message, Resumed):
            resumes.append((len(message.epochs), message.step))

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder), SEED, "toy", every=None)
        for ends in (_Ends(asked, Interrupted), _Ends(killed, _Killed)):
            with suppress(Interrupted, _Killed):
                train(_objective(toy), toy, note, checkpoint, ends)
        broken = _objective(toy)
        rest = train(broken, toy, note, checkpoint)
    one, other = (
        rounded({"history": rows, "weights": projections(objective.model)})
        for rows, objective in ((history, straight), (rest, broken))
    )
    return {
        **one,
        "resumed after": [f"epochs: {epochs}, steps: {steps}" for epochs, steps in resumes],
        "resumed": "to the same" if other == one else other,
    }


def _silent(message: object) -> None:
    """Report nothing."""


def _averaged(toy: VariantOptions) -> dict[str, list[bool]]:
    """Return after which epochs a mean of the weights is taken: a toy ends before most begin."""
    weights = KEEP[toy.keep](nn.Module(), toy)
    if not isinstance(weights, Average):
        return {}
    epochs = range(len(VALIDATIONS) + 1)
    return {"averaged": [weights.has_begun(VALIDATIONS[:epoch]) for epoch in epochs]}


def _clipped(toy: VariantOptions) -> dict[str, float]:
    """Return the weights after some steps, of which one has a large gradient."""
    objective = _objective(toy)
    objective.model.train()
    optimisation = Optimisation(objective.model, toy, toy.epochs * objective.steps)
    for step, loss in zip(range(3), objective.losses(1, 0), strict=False):
        optimisation.step(loss * LARGE if step == 1 else loss)
    return projections(objective.model)


def _precisions(toy: VariantOptions) -> dict[str, list[str]]:
    """Return what types of numbers enter recurrent layers and leave affine ones, in bfloat16."""
    found: dict[str, list[str]] = {}

    def note(name: str, x: object) -> None:
        of = x.data if isinstance(x, nn.utils.rnn.PackedSequence) else x
        if isinstance(of, torch.Tensor):
            known = found.setdefault(name, [])
            if (kind := str(of.dtype)) not in known:
                known.append(kind)

    machine = Machine("cpu", "bfloat16", threads=1)
    objective = begin(toy, kind_of(toy).made_up(toy), SEED, machine)
    objective.model.train()
    for name, module in objective.model.named_modules():
        if isinstance(module, nn.RNNBase):
            module.register_forward_pre_hook(lambda _, x, name=name: note(f"{name} reads", x[0]))
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda _, x, y, name=name: note(f"{name} writes", y))
    with warnings.catch_warnings(action="ignore"), torch.backends.mkldnn.flags(enabled=False):
        # Not every processor has oneDNN's bfloat16; and that is switched off with a warning.
        note("loss", next(iter(objective.losses(1, 0))))
    return found
