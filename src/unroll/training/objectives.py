"""What training minimises, and how it is going: one class per kind of data.

An objective holds its data on the device of the model, yields one loss per step, and
measures itself on the validation split, always in float32.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.config import CorpusOptions, PairsOptions
from unroll.data.corpus import Corpus
from unroll.data.pairs import Pairs
from unroll.evaluation.accuracy import accuracy
from unroll.evaluation.perplexity import perplexity
from unroll.models import padding
from unroll.models.language_model import LanguageModel
from unroll.models.layers import State
from unroll.models.seq2seq import Seq2Seq
from unroll.seeds import torch_generator
from unroll.training.machine import Machine

IGNORED = -100  # the target that cross_entropy leaves out


class Objective(Protocol):
    """What the training loop asks for."""

    steps: int  # per epoch

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    def losses(self, start: int = 0) -> Iterator[Tensor]:
        """Yield the loss of each step of an epoch, the model to be updated in between.

        With `start`, the steps before it have been taken: their place is that of `restore`.
        """

    def state(self) -> dict[str, Tensor]:
        """Return what `restore` needs to go on in the middle of the epoch."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""

    def validate(self) -> dict[str, float]:
        """Return the metrics of the validation split."""


class PairsObjective:
    """Cross entropy of the target symbols with teacher forcing, over shuffled batches."""

    def __init__(
        self, model: Seq2Seq, pairs: Pairs, options: PairsOptions, seed: int, machine: Machine
    ) -> None:
        self.model, self.options, self.machine = model, options, machine
        self.blank = pairs.blank
        splits = ("train", "valid")
        self.sources = {s: torch.as_tensor(pairs.sources[s]).to(machine.device) for s in splits}
        self.targets = {s: torch.as_tensor(pairs.targets[s]).to(machine.device) for s in splits}
        self.batch_size = min(options.batch_size, len(pairs.sources["train"]))
        self.steps = len(pairs.sources["train"]) // self.batch_size
        self.order = torch_generator(seed, "order")
        self.before_epoch = self.order.get_state()

    def losses(self, start: int = 0) -> Iterator[Tensor]:
        """Yield the loss of each whole batch, in a new order at every epoch."""
        if start:
            self.order.set_state(self.before_epoch)
        self.before_epoch = self.order.get_state()
        count = len(self.sources["train"])
        shuffled = torch.randperm(count, generator=self.order).to(self.machine.device)
        for batch in shuffled.split(self.batch_size)[start : self.steps]:
            yield self._loss(self.sources["train"][batch], self.targets["train"][batch])

    def state(self) -> dict[str, Tensor]:
        """Return the generator of the order, as it is and as it was before the epoch."""
        return {"order": self.order.get_state(), "before_epoch": self.before_epoch}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""
        self.before_epoch = state["before_epoch"]
        for generator_state in (self.before_epoch, state["order"]):
            self.order.set_state(generator_state)

    def _loss(self, sources: Tensor, targets: Tensor) -> Tensor:
        inputs, expected = targets[:, :-1], targets[:, 1:]
        counts = padding.scored(expected, self.blank, self.options.padding)
        with self.machine.autocast():
            logits = self.model(sources, inputs)
        return F.cross_entropy(
            logits.float().flatten(0, 1),
            expected.masked_fill(~counts, IGNORED).flatten(),
            ignore_index=IGNORED,
        )

    def validate(self) -> dict[str, float]:
        """Return exact match and character accuracy of the validation split."""
        found = accuracy(
            self.model,
            self.sources["valid"],
            self.targets["valid"],
            self.blank,
            self.options.padding,
        )
        return {
            "valid_exact_match": found.exact_match,
            "valid_character_accuracy": found.character_accuracy,
        }


class CorpusObjective:
    """Cross entropy of the next token, by truncated BPTT over N streams.

    The corpus is cut into N streams of one length, which are read side by side:

        stream 0   a b c d | e f g h | i j k
        stream 1   l m n o | p q r s | t u v      T = 4: three steps an epoch
                   window 0  window 1  window 2

    From window to window the state is carried on, the gradient is not; every epoch
    begins with a state of zeros. At most N tokens at the end of the corpus are not read.
    """

    def __init__(
        self,
        model: LanguageModel,
        corpus: Corpus,
        options: CorpusOptions,
        machine: Machine,
    ) -> None:
        self.model, self.machine, self.eos = model, machine, corpus.eos
        tokens = torch.as_tensor(corpus.tokens["train"])
        streams = min(options.batch_size, len(tokens) - 1)
        length = (len(tokens) - 1) // streams
        self.inputs = tokens[: streams * length].view(streams, length).to(machine.device)
        self.targets = tokens[1 : streams * length + 1].view(streams, length).to(machine.device)
        self.valid = torch.as_tensor(corpus.tokens["valid"]).to(machine.device)
        self.time_steps = options.time_steps
        self.steps = -(-length // options.time_steps)
        self.carried: State | None = None  # after the last window that was read

    def losses(self, start: int = 0) -> Iterator[Tensor]:
        """Yield the loss of each window, from the first of the streams to the last."""
        if not start:
            self.carried = None
        parts = (part.split(self.time_steps, dim=1) for part in (self.inputs, self.targets))
        for inputs, targets in islice(zip(*parts, strict=True), start, None):
            with self.machine.autocast():
                loss, after = self.model.loss(inputs, targets, self.carried)
            self.carried = tuple(part.detach() for part in after)
            yield loss

    def state(self) -> dict[str, Tensor]:
        """Return the state that is carried on: h, or h and c."""
        return {f"carried.{i}": part for i, part in enumerate(self.carried or ())}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""
        parts = [state[f"carried.{i}"].to(self.inputs.device) for i in range(len(state))]
        with torch.no_grad():
            _, as_it_is = self.model.features(self.inputs[:, :1], None)
        if [part.shape for part in parts] != [part.shape for part in as_it_is]:
            raise ValueError("the carried state is of another shape")
        self.carried = tuple(parts)

    def validate(self) -> dict[str, float]:
        """Return the exact perplexity of the validation split."""
        return {"valid_perplexity": perplexity(self.model, self.valid, self.eos)}
