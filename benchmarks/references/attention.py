"""A loop with attention in plain PyTorch: what one writes in an afternoon.

A GRU reads the source, another one writes the target with dot attention over all steps, batches are
drawn at random and filled up to their longest pair, Adam keeps its rate.
"""

import math
import time
from collections.abc import Iterator
from itertools import count

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.data.pairs import Pairs
from unroll.generation.answering import texts_of
from unroll.models.padding import PADDINGS
from unroll.models.side import Side
from unroll.options import PairsOptions
from unroll.seeds import torch_generator

SEED, RATE = 0, 1e-3


class PlainAttention(nn.Module):
    """A GRU that reads, a GRU that writes, dot attention between them."""

    def __init__(self, sources: int, targets: int, D: int, H: int) -> None:
        super().__init__()
        self.read, self.written = nn.Embedding(sources, D), nn.Embedding(targets, D)
        self.encoder = nn.GRU(D, H, batch_first=True)
        self.decoder = nn.GRU(D, H, batch_first=True)
        self.affine = nn.Linear(2 * H, targets)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Read (N, T); return the states (N, T, H) and the last one (1, N, H)."""
        memory, state = self.encoder(self.read(source))
        return memory, state

    def decode(
        self, inputs: Tensor, state: Tensor, memory: Tensor, filled: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Read (N, T') from a state; return the logits (N, T', V) and the next state."""
        hidden, state = self.decoder(self.written(inputs), state)
        scores = (hidden @ memory.transpose(1, 2)).masked_fill(filled[:, None], -math.inf)
        return self.affine(torch.cat([scores.softmax(-1) @ memory, hidden], dim=-1)), state


class PlainLoop:
    """Trains and asks it, on the prepared pairs of a task."""

    def __init__(self, pairs: Pairs, options: PairsOptions) -> None:
        self.pairs, self.form, self.batch_size = pairs, pairs.form, options.batch_size
        self.source_pad, self.target_pad = self.form.source["pad"], self.form.answers["pad"]
        torch.manual_seed(SEED)
        sizes = len(self.form.source), len(self.form.answers)
        self.model = PlainAttention(*sizes, options.embedding_size, options.hidden_size)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE)

    def side(self, sequences: dict, split: str) -> Side:
        """Return one side of a split, batches of which are filled up to their longest."""
        return Side(sequences[split], PADDINGS["masked"], "cpu")

    def epoch(self, number: int) -> Iterator[float]:
        """Take the steps of an epoch; yield behind each what share of the epoch that was so far."""
        sources, targets = (
            self.side(of, "train") for of in (self.pairs.sources, self.pairs.targets)
        )
        generator = torch_generator(SEED, "plain loop", str(number))
        order = torch.randperm(len(sources), generator=generator).split(self.batch_size)
        for step, rows in enumerate(order, 1):
            (source, _), (target, _) = sources.batch(rows), targets.batch(rows)
            self._step(source, target)
            yield step / len(order)

    def train(self, seconds: float) -> float:
        """Train for so many seconds of the CPU; return the epochs that it was."""
        until = time.process_time() + seconds
        for number in count():
            for share in self.epoch(number):
                if time.process_time() >= until:
                    return number + share
        raise AssertionError("epochs have no end")

    def _step(self, source: Tensor, target: Tensor) -> None:
        memory, state = self.model.encode(source)
        logits, _ = self.model.decode(target[:, :-1], state, memory, source == self.source_pad)
        expected = target[:, 1:].flatten()
        loss = F.cross_entropy(logits.flatten(0, 1), expected, ignore_index=self.target_pad)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    @torch.inference_mode()
    def answers(self, split: str) -> list[str]:
        """Return its answers to all sources of a split, the likeliest symbol at each step."""
        side, length = self.side(self.pairs.sources, split), self.form.target_width - 1
        written = torch.full((len(side), length), self.target_pad)
        for rows in side.parts(500):
            source, _ = side.batch(rows)
            memory, state = self.model.encode(source)
            symbol = torch.full((len(rows), 1), self.form.answers["start"])
            for step in range(length):
                filled = source == self.source_pad
                logits, state = self.model.decode(symbol, state, memory, filled)
                symbol = logits.argmax(-1)
                written[rows, step] = symbol[:, 0]
        return texts_of(written, self.form, "masked")
