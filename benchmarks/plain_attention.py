"""BLEU of a study's variant against a plain loop with attention, trained as long on the same data.

    python benchmarks/plain_attention.py --study sentences
    python benchmarks/plain_attention.py --quick          made-up pairs: the figures say nothing

The plain loop is what one writes in an afternoon: a GRU reads the source, another one writes the
target with dot attention over all steps, batches are drawn at random and filled up to their longest
pair, Adam keeps its rate. Sizes and batch size are those of the variant. First the variant is
trained with seed 0, then the loop for as many seconds of the CPU, in one process with one
thread; validation counts for neither. Both answer the test split greedily.
"""

import math
import time
from collections.abc import Sequence
from itertools import count

import click
import torch
import torch.nn.functional as F
from ragged import training
from torch import Tensor, nn

from unroll import study
from unroll.data.pairs import Pairs, load_pairs
from unroll.errors import UserError
from unroll.evaluation.accuracy import accuracy
from unroll.evaluation.texts import score_texts
from unroll.generation.answering import texts_of
from unroll.models.padding import PADDINGS
from unroll.models.side import Side
from unroll.options import PairsOptions
from unroll.seeds import torch_generator
from unroll.tasks.translation import Translation, TranslationOptions
from unroll.training.loop import Training

SEED, RATE = 0, 1e-3
TOY = {
    "embedding_size": 16,
    "hidden_size": 16,
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 0.01,
    "decoder": "attention",
}


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

    def train(self, seconds: float) -> float:
        """Train for so many seconds of the CPU; return the epochs that it was."""
        sources, targets = (
            self.side(of, "train") for of in (self.pairs.sources, self.pairs.targets)
        )
        until = time.process_time() + seconds
        generator = torch_generator(SEED, "plain loop")
        for epoch in count():
            order = torch.randperm(len(sources), generator=generator).split(self.batch_size)
            for step, rows in enumerate(order):
                if time.process_time() >= until:
                    return epoch + step / len(order)
                (source, _), (target, _) = sources.batch(rows), targets.batch(rows)
                self._step(source, target)
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


def of_study(name: str, variant: str) -> tuple[Pairs, PairsOptions]:
    """Return the prepared pairs of a study's variant, and its options.

    Raises:
        UserError: there is no such variant of pairs with texts, or its data were not prepared.
    """
    found = study.load(name)
    options = found.variants.get(variant)
    if not isinstance(options, PairsOptions):
        raise UserError(f"{variant} is no variant of pairs in the study {name}")
    pairs = load_pairs(found.prepared(options.task))
    if pairs.texts is None:
        raise UserError(f"the task {options.task} keeps no texts: nothing for BLEU")
    return pairs, options


def toy() -> tuple[Pairs, PairsOptions]:
    """Return a few numbers in words, and the options of a small model."""
    data = {"kind": "translation", "train": 200, "valid": 20, "test": 20}
    pairs = Translation(TranslationOptions.model_validate(data)).prepare()
    return pairs, training(pairs, "masked", **TOY).objective.options


def trained(one: Training) -> float:
    """Train to the end; return the seconds of the CPU that the steps took."""
    one.objective.model.train()
    started = time.process_time()
    for epoch in range(1, one.epochs + 1):
        for loss in one.objective.losses(epoch):
            one.step(loss)
        print(f"  epoch {epoch}/{one.epochs}  loss {one.mean_loss():.4f}", flush=True)
        one.steps, one.total = 0, None
    return time.process_time() - started


def told(name: str, pairs: Pairs, texts: Sequence[str]) -> None:
    """Print BLEU, chrF and exact match of answers to the test split, with the signature."""
    references, unit = pairs.references("test"), pairs.form.answers.unit
    bleu, signature = score_texts("bleu", texts, references, unit)
    chrf, _ = score_texts("chrf", texts, references, unit)
    right = sum(text in of for text, of in zip(texts, references, strict=True)) / len(texts)
    print(
        f"{name}: BLEU {bleu.values.mean():.1f}, chrF {chrf.values.mean():.1f}, exact match "
        f"{right:.1%} ({signature})"
    )


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))
@click.option("--study", "name", metavar="NAME", help="A study whose data were prepared.")
@click.option("--variant", default="attention", show_default=True)
@click.option("--quick", is_flag=True, help="Toy size: few numbers in words, a small model.")
def main(name: str | None, variant: str, quick: bool) -> None:
    if not quick and name is None:
        raise click.UsageError("name a study of translation: --study NAME, or --quick")
    try:
        pairs, options = toy() if quick else of_study(name, variant)
    except UserError as error:
        raise click.ClickException(str(error)) from None
    one = training(pairs, options.padding, **options.model_dump(exclude={"padding"}))
    seconds = trained(one)
    texts = accuracy(one.objective.model, pairs, "test", options.padding, "cpu").texts
    loop = PlainLoop(pairs, options)
    epochs = loop.train(seconds)
    machine = one.objective.machine
    print(
        f"{len(pairs.sources['train']):,} pairs, {seconds:,.0f} CPU seconds for each, "
        f"{machine.precision}, one thread"
    )
    told(f"{variant}, {options.epochs} epochs", pairs, texts)
    told(f"plain loop, {epochs:.1f} epochs", pairs, loop.answers("test"))


if __name__ == "__main__":
    main()
