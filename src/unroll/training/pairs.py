"""Training on pairs: cross entropy of the target symbols."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.data.batches import batches, drawn
from unroll.data.pairs import Pairs
from unroll.errors import UserError
from unroll.evaluation.accuracy import accuracy
from unroll.models.layers import at_least_float32
from unroll.models.padding import PADDINGS
from unroll.models.seq2seq import Seq2Seq
from unroll.models.side import Side, side_of
from unroll.options import PairsOptions
from unroll.seeds import numpy_generator, torch_generator
from unroll.training.curricula import chosen
from unroll.training.machine import Machine
from unroll.training.objective import Objective, Read

IGNORED = -100  # the target that PyTorch's cross_entropy leaves out


class PairsObjective(Objective):
    """Cross entropy of the target symbols, over batches of sequences of like length.

    `teacher_forcing` is the share of steps, or of whole sequences, in which the decoder reads the
    target; in the others it reads what it has found likeliest itself.
    """

    model: Seq2Seq

    def __init__(
        self, model: Seq2Seq, pairs: Pairs, options: PairsOptions, seed: int, machine: Machine
    ) -> None:
        super().__init__(model, seed, machine)
        self.pairs, self.options, self.padding = pairs, options, PADDINGS[options.padding]
        self.source = side_of(pairs.sources["train"], self.padding, machine.device)
        self.target = Side(pairs.targets["train"], self.padding, machine.device)
        self.lengths = [self.source.order_by, self.target.order_by]
        count = len(self._of_epoch(1))
        self.batch_size = min(options.batch_size, count)
        self.steps = count // self.batch_size
        if options.teacher_forcing < 1:
            generator = torch_generator(seed, "teacher_forcing", device=machine.device)
            self.generators["teacher_forcing"] = generator

    def reads(self, epoch: int, start: int) -> Iterator[Read]:
        """Yield sources and targets of each batch, in a new order at every epoch.

        Beside both their lengths, and at last where the decoder reads the target.
        """
        for rows in self._batches(epoch)[start:]:
            target, lengths = self.target.batch(rows)
            yield *self.source.read(rows), target, lengths, self._forced(target[:, 1:])

    def _batches(self, epoch: int) -> Sequence[Tensor]:
        if self.options.with_replacement:
            return list(drawn(len(self.source), self.batch_size, self.seed, epoch))
        rows = self._of_epoch(epoch)
        lengths = [side[rows] for side in self.lengths]
        of_epoch = torch.from_numpy(rows)
        return [of_epoch[of] for of in batches(lengths, self.batch_size, self.seed, epoch)]

    def _of_epoch(self, epoch: int) -> np.ndarray:
        """Return which pairs an epoch has: of each shape as many for every seed."""
        if self.options.curriculum == "all":
            return np.arange(len(self.source))
        if self.pairs.levels is None:
            raise UserError("curriculum: the pairs of this task have no levels; leave it out")
        random = numpy_generator(0, "curriculum", str(epoch))
        progress = (epoch - 1) / self.options.epochs
        return chosen(np.asarray(self.pairs.levels), self.options.curriculum, progress, random)

    def loss(
        self,
        source: Tensor,
        lengths: Tensor | None,
        target: Tensor,
        target_lengths: Tensor,
        forced: Tensor | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the cross entropy in nats of the symbols that count.

        By the option `loss` it is the mean of these, or the mean of the sums over each sequence.

        `source` is (N, T), read up to `lengths` (N,); `target` is (N, T'), its lengths are (N,);
        where `forced` (N, T' - 1) is false, the decoder reads what it found likeliest itself.
        """
        inputs, expected = target[:, :-1], target[:, 1:]
        counts = self._counts(target, target_lengths)
        with self.machine.autocast():
            logits = self.model(source, inputs, lengths, forced)
        mean = F.cross_entropy(
            at_least_float32(logits).flatten(0, 1),
            expected.masked_fill(~counts, IGNORED).flatten(),
            label_smoothing=self.options.label_smoothing,
        )
        return mean if self.options.loss == "symbol" else mean * counts.sum() / len(source), ()

    def weight(self, *read: Any) -> float:
        """Return of how many symbols, or sequences, the loss of a step is the mean."""
        _, _, target, target_lengths, _ = read
        if self.options.loss == "sequence":
            return len(target)
        return self._counts(target, target_lengths).sum().item()

    def _counts(self, target: Tensor, lengths: Tensor) -> Tensor:
        """Return which symbols (N, T' - 1) are to be predicted, of targets (N, T')."""
        return self.padding.counts(lengths - 1, target.shape[1] - 1).to(target.device)

    def _forced(self, inputs: Tensor) -> Tensor | None:
        """Return where (N, T') the decoder reads the target; None where it always does."""
        share = self.options.teacher_forcing
        if share == 1:
            return None
        N, T = inputs.shape
        draws = (N, T) if self.options.teacher_forcing_by == "step" else (N, 1)
        values = torch.rand(
            draws, generator=self.generators["teacher_forcing"], device=inputs.device
        )
        return (values < share).expand(N, T)

    def validate(self) -> dict[str, float]:
        """Return exact match and character accuracy of the validation split."""
        found = accuracy(self.model, self.pairs, "valid", self.options.padding, self.machine.device)
        return {f"valid_{name}": value for name, value in found.scores().items()}
