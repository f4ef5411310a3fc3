"""What the processes of tests do as ranks of a training."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mutants.variants import VARIANTS
from unroll.errors import TrainingError
from unroll.kinds import kind_of
from unroll.options import OPTIONS, VariantOptions
from unroll.plans.training import MACHINE, miniature
from unroll.training.checkpoint import Checkpoint
from unroll.training.interruption import Interrupted, Interruption
from unroll.training.loop import Seat, Training, go_on
from unroll.training.ranks import Alone, Rank
from unroll.training.run import begin

SEED = 3


def toy(name: str) -> VariantOptions:
    kind, options = VARIANTS[name]
    return miniature(OPTIONS[kind].model_validate(options))


def seat(options: VariantOptions, checkpoint: Checkpoint | None = None) -> Seat:
    data = kind_of(options).made_up(options)
    training = Training(begin(options, data, SEED, MACHINE, torch.float64), options)
    return Seat(training, lambda message: None, checkpoint)


def trained(rank: Alone, options: VariantOptions) -> dict[str, Any]:
    """Return the weights and the history of a training."""
    one = seat(options)
    rank.train([one], rank.interruption())
    return {
        "weights": one.training.objective.model.state_dict(),
        "history": one.training.rows(),
    }


def take_part(rank: Rank, names: Sequence[str], folder: Path) -> None:
    """Train variants as one of the ranks, and write what each has left there."""
    torch.set_num_threads(1)
    with rank.joined("cpu"):
        for name in names:
            torch.save(trained(rank, toy(name)), folder / f"{name}.{rank.number}")


def interrupted(rank: Rank, asked: int, folder: Path) -> None:
    """Be asked to end in a validation, if this rank is the one; write whether it was heard."""
    with rank.joined("cpu"):
        request = rank.interruption()
        request.listen()
        try:
            with request.anywhere():
                if rank.number == asked:
                    os.kill(os.getpid(), signal.SIGTERM)
        except Interrupted:
            (folder / str(rank.number)).touch()


def stand_apart(rank: Rank, folder: Path) -> None:
    """Train with the other rank, which stands an epoch further; write what is said of that."""
    one = seat(toy("plain"))
    if rank.number == 1:
        go_on([one], one.training, Interruption(), (2, 0))
    with rank.joined("cpu"):
        try:
            rank.train([one], rank.interruption())
        except TrainingError as error:
            (folder / str(rank.number)).write_text(str(error))
