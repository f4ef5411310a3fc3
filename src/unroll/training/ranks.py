"""One training by several processes, the ranks: each computes some rows of every batch.

PyTorch's DistributedDataParallel brings their gradients together, so all take the same step. Each
knows the whole batch, the state of all its streams and all of its dropout: up to rounding the
weights do not depend on how many ranks there are, and a checkpoint of one of them is one of the
whole training, which may go on with more ranks, with fewer, or alone.
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import FileStore, PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from unroll.errors import TrainingError, UserError, first_line
from unroll.models.dropout import set_part
from unroll.training.checkpoint import Checkpoint, Snapshot
from unroll.training.interruption import Interrupted, Interruption
from unroll.training.loop import Place, Seat, Training, go_on
from unroll.training.objective import Loss, Read
from unroll.training.stacked import train_together

PATIENCE = 1.0  # seconds in which the parent learns which rank has ended first


@dataclass(frozen=True)
class Alone:
    """A process that has its trainings to itself."""

    number: int = 0  # the first one speaks and writes
    of: int = 1

    def interruption(self) -> Interruption:
        """Return what asks its trainings to end."""
        return Interruption()

    def joined(self, device: str) -> AbstractContextManager[None]:
        """Be there for the others within the block."""
        return nullcontext()

    def checkpoint(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return the checkpoint as this process may use it."""
        return checkpoint

    def train(self, seats: Sequence[Seat], interruption: Interruption) -> None:
        """Take trainings to their end."""
        train_together(seats, interruption)


ALONE = Alone()


@dataclass(frozen=True)
class Rank(Alone):
    """One of several processes that share a training, on one machine."""

    meeting: str = ""  # where they find each other: the path of a file, or a name

    def interruption(self) -> Interruption:
        """Return what asks all ranks to end where one of them is asked to."""
        return Agreed()

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Be there for the others within the block.

        Raises:
            TrainingError: another rank has ended before its time.
        """
        if device == "cuda":
            if self.place >= (count := torch.cuda.device_count()):
                raise UserError(
                    f"a rank needs a GPU of its own, and there are {count}: lower compute.workers, "
                    "or torchrun's --nproc-per-node"
                )
            torch.cuda.set_device(self.place)
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        store = self.store()
        try:
            dist.init_process_group(backend, store=store, rank=self.number, world_size=self.of)
            yield
        except RuntimeError as error:
            if not _is_lost(error):
                raise
            time.sleep(PATIENCE)  # who has ended first is heard first
            raise TrainingError(
                f"another rank has ended before its time ({first_line(error)})"
            ) from None
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()

    @property
    def place(self) -> int:
        """The number of its GPU on its machine."""
        return self.number

    def store(self) -> Store:
        """Return where the ranks find each other."""
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _loopback())
        return FileStore(self.meeting, self.of)

    def checkpoint(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return the checkpoint, which the first rank alone writes."""
        return checkpoint if self.number == 0 else ReadOnly(**vars(checkpoint))

    def train(self, seats: Sequence[Seat], interruption: Interruption) -> None:
        """Take one training to its end, with the other ranks.

        Raises:
            UserError: a batch has a number of rows that the ranks cannot share alike.
        """
        (seat,) = seats
        seat.take_up()
        self.check_alike(seat)
        set_part(seat.training.objective.model, self.number, self.of)
        go_on([seat], Share(seat.training, self), interruption)
        seat.training.weights.end()

    def check_alike(self, seat: Seat) -> None:
        """Check that all ranks train the same, from the same place.

        Raises:
            TrainingError: one does not see the checkpoint of the others, or computes otherwise.
        """
        own = seat.training.place, seat.checkpoint.key if seat.checkpoint else ""
        every: list[tuple[Place, str]] = [own] * self.of
        dist.all_gather_object(every, own)
        if len(set(every)) > 1:
            places = ", ".join(f"epoch {e}, step {s} (run {key})" for (e, s), key in every)
            raise TrainingError(
                f"the ranks do not stand at one place: {places}; they need one folder that all "
                "see, and the same device and precision (compute in params.yaml)"
            )


class TorchrunRank(Rank):
    """A rank that torchrun has started: on one machine, or on several."""

    @classmethod
    def here(cls, meeting: str) -> "TorchrunRank":
        """Return which one this process is."""
        return cls(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), meeting)

    @property
    def place(self) -> int:
        """The number of its GPU on its machine."""
        return int(os.environ["LOCAL_RANK"])

    def store(self) -> Store:
        """Return where the ranks find each other."""
        return PrefixStore(self.meeting, _torchruns_store())


def by_torchrun() -> bool:
    """Say whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def follows() -> bool:
    """Say whether this process is a rank of torchrun to which the first says what to do."""
    return by_torchrun() and TorchrunRank.here("").number > 0


def announce(seeds: Sequence[int]) -> None:
    """Tell the other ranks of torchrun which seeds are to be trained."""
    _torchruns_store().set("seeds", json.dumps(seeds))


def announced() -> list[int]:
    """Return which seeds the first rank of torchrun trains; wait until it says so."""
    found: list[int] = json.loads(_torchruns_store().get("seeds"))
    return found


def _torchruns_store() -> Store:
    """Return what the ranks of torchrun know in common, since it has started them last."""
    store, _, _ = next(rendezvous("env://"))
    return PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], store)


class Agreed(Interruption):
    """A request to one rank to end is one to all, heard by all of them at the same place."""

    def check(self) -> None:
        """Raise Interrupted where a rank was asked to end; all ranks must ask."""
        asked = torch.tensor(float(self.requested))
        dist.all_reduce(asked, dist.ReduceOp.MAX)
        if asked:
            raise Interrupted

    @contextmanager
    def anywhere(self) -> Iterator[None]:
        """Let the request end the block wherever it stands; behind it all ranks have heard it."""
        self.check()
        self._anywhere = True
        try:
            yield
            self._anywhere = False  # here, where a request that comes just now is still caught
        except Interrupted:
            self.requested = True  # the others, who may have come through, are told below
        finally:
            self._anywhere = False
        self.check()


class ReadOnly(Checkpoint):
    """The checkpoint of a rank that does not write it."""

    def write(self, snapshot: Snapshot) -> None:
        """Leave it to the first rank."""


class Share:
    """A training of which this process computes its rows of each batch."""

    def __init__(self, training: Training, rank: Rank) -> None:
        self.training, self.rank = training, rank
        self.loss = DistributedDataParallel(Loss(training.objective), forward_sync_buffers=False)

    def take_steps(self) -> Iterator[None]:
        """Take the steps of the epoch that are left, and stop behind each."""
        training, objective = self.training, self.training.objective
        for read in objective.reads(training.epoch, training.steps):
            own = self.own(read)
            share = objective.weight(*own) / objective.weight(*read)
            loss, carried = self.loss(*own)
            objective.carried = tuple(self.gathered(part) for part in carried)
            whole = loss.detach() * share
            dist.all_reduce(whole)
            # The gradient is to be the sum of those of all ranks, and comes as their mean.
            training.optimisation.step(
                loss * (share * self.rank.of), training.validations, objective.part
            )
            training.took(whole)
            yield

    def own(self, read: Read) -> Read:
        """Return what this rank has of what a step reads.

        Raises:
            UserError: the ranks cannot share the rows alike.
        """
        N, parts = _rows(read), self.rank.of
        if N % parts:
            raise UserError(
                f"batch_size: {N} rows cannot be shared alike by {parts} ranks; choose a multiple "
                f"of {parts}, or another number of ranks (compute.workers; of torchrun "
                "--nproc-per-node)"
            )
        rows = slice(N * self.rank.number // parts, N * (self.rank.number + 1) // parts)
        of_batch = len(read) - len(self.training.objective.carried)
        return (
            *(part if part is None else part[rows] for part in read[:of_batch]),
            *(part if part is None else part[:, rows] for part in read[of_batch:]),
        )

    def gathered(self, part: Tensor) -> Tensor:
        """Return what is carried (L, N, …) of all ranks, from what is carried of one."""
        parts = [torch.empty_like(part) for _ in range(self.rank.of)]
        dist.all_gather(parts, part.contiguous())
        return torch.cat(parts, dim=1)


def _rows(read: Read) -> int:
    assert read[0] is not None
    return len(read[0])


def _loopback() -> str:
    """Return the name of the network interface that leads to this machine."""
    return next(name for _, name in socket.if_nameindex() if name.startswith("lo"))


def _is_lost(error: RuntimeError) -> bool:
    """Say whether an error comes of a rank that is no longer there."""
    signs = ("closed by peer", "reset by peer", "Broken pipe", "remote process", "Timed out")
    return isinstance(error, dist.DistError) or any(sign in str(error) for sign in signs)
