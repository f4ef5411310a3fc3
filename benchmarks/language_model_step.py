"""A training step of a language model beside plain PyTorch, and beside what the machine could do.

    python benchmarks/language_model_step.py                             650 units, two layers
    python benchmarks/language_model_step.py --hidden 100 --layers 1     the book's smaller one
    python benchmarks/language_model_step.py --quick                     toy size: no figures

Made-up words, in streams as those of the Penn Treebank: 20 side by side, 35 steps, 10,000 words,
one matrix for embedding and affine layer, SGD, clipped, dropout of a half. The model of this
project trains in the precision that suits the machine; the plain one is `nn.LSTM`, `nn.Linear` and
`cross_entropy` in float32, as tutorials write it. Steps of both in turn, in one process with one
thread; medians of the rounds. The machine's rate is that of the product of two square matrices in
the same run; a step's share of it counts what its matrix products must compute, forward once and
backward twice, and nothing else that it does.
"""

import statistics
import time
from collections.abc import Callable

import click
import torch
import torch.nn.functional as F
from stopwatch import seconds_of
from torch import Tensor, nn

from unroll.data.corpus import Corpus, CorpusForm
from unroll.data.sequences import SPLITS
from unroll.data.vocabulary import SPECIAL, Vocabulary
from unroll.options import Compute, CorpusOptions
from unroll.seeds import numpy_generator
from unroll.training.loop import Training
from unroll.training.machine import Machine, choose
from unroll.training.run import begin

STREAMS, STEPS, DROPOUT, RATE, CLIP = 20, 35, 0.5, 1.0, 0.25
SQUARE = 1_024  # rows and columns of the matrices by which the machine is measured


class Plain(nn.Module):
    """A language model as tutorials write it."""

    def __init__(self, words: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, hidden)
        dropout = DROPOUT if layers > 1 else 0.0
        self.lstm = nn.LSTM(hidden, hidden, layers, dropout=dropout, batch_first=True)
        self.affine = nn.Linear(hidden, words)
        self.affine.weight = self.embedding.weight

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(N, T) → logits (N, T, V), and the state behind the last."""
        embedded = F.dropout(self.embedding(tokens), DROPOUT)
        hidden, state = self.lstm(embedded, state)
        return self.affine(F.dropout(hidden, DROPOUT)), state


def corpus(words: int, steps: int) -> Corpus:
    """Return words drawn at random, for so many steps."""
    symbols = [SPECIAL["end"], *(f"w{i}" for i in range(words - 1))]
    vocabulary = Vocabulary(symbols, special={"end": SPECIAL["end"]}, unit="word")
    drawn = numpy_generator(0, "words").integers(0, words, STREAMS * STEPS * steps + 1)
    return Corpus(
        CorpusForm(vocabulary=vocabulary), dict.fromkeys(SPLITS, drawn.astype("int32")), {}
    )


def ours(data: Corpus, hidden: int, layers: int, machine: Machine) -> Training:
    """Return a training as a study's."""
    options = CorpusOptions.model_validate(
        {
            "task": "words",
            "seeds": [0],
            "layers": layers,
            "embedding_size": hidden,
            "hidden_size": hidden,
            "tie_weights": True,
            "dropout": DROPOUT,
            "init": "default",
            "epochs": 1_000,
            "batch_size": STREAMS,
            "time_steps": STEPS,
            "optimizer": "sgd",
            "learning_rate": RATE,
            "clip": CLIP,
        }
    )
    return Training(begin(options, data, 0, machine), options)


def plain(data: Corpus, hidden: int, layers: int) -> Callable[[int], float]:
    """Return what takes so many plain steps, and says how long they took."""
    torch.manual_seed(0)
    model = Plain(len(data.vocabulary), hidden, layers).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    tokens = torch.as_tensor(data.tokens["train"]).long()
    inputs, targets = (tokens[i : len(tokens) - 1 + i].view(STREAMS, -1) for i in (0, 1))

    def take(steps: int) -> float:
        state = None
        started = time.perf_counter()
        for start in range(0, steps * STEPS, STEPS):
            window = slice(start, start + STEPS)
            logits, state = model(inputs[:, window], state)
            state = (state[0].detach(), state[1].detach())
            loss = F.cross_entropy(logits.flatten(0, 1), targets[:, window].flatten())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimiser.step()
        return time.perf_counter() - started

    return take


def rate(dtype: torch.dtype, size: int) -> float:
    """Return the floating-point operations a second of a product of square matrices."""
    one, other = (torch.randn(size, size).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(12):
        started = time.perf_counter()
        one @ other
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds)


def operations(words: int, hidden: int, layers: int) -> int:
    """Return those of the matrix products of a step: a multiplication and a sum for each weight."""
    weights = layers * 4 * hidden * 2 * hidden + hidden * words
    return 3 * 2 * weights * STREAMS * STEPS


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))
@click.option("--hidden", default=650, show_default=True, type=click.IntRange(min=1))
@click.option("--layers", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--words", default=10_000, show_default=True, type=click.IntRange(min=10))
@click.option("--steps", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1))
@click.option("--quick", is_flag=True, help="Toy size.")
def main(hidden: int, layers: int, words: int, steps: int, rounds: int, quick: bool) -> None:
    if quick:
        hidden, words, steps, rounds = 16, 50, 3, 2
    machine = choose(Compute(device="cpu"))
    machine.prepare_process()
    data = corpus(words, steps)
    training, others = ours(data, hidden, layers, machine), plain(data, hidden, layers)
    seconds_of(training, 1, 2)  # warms up
    others(2)
    of_both: list[tuple[float, float]] = []
    for epoch in range(2, rounds + 2):
        of_both.append((seconds_of(training, epoch, steps) / steps, others(steps) / steps))
    training.mean_loss()  # a training that diverged measures nothing
    dtype = torch.bfloat16 if machine.precision == "bfloat16" else torch.float32
    count, square = operations(words, hidden, layers), 64 if quick else SQUARE
    print(
        f"{hidden} units, {layers} layers, {words:,} words, one thread of "
        f"{machine.environment()['device_name']}; medians of {rounds} rounds of {steps} steps"
    )
    for name, i, of in (
        (f"ours, {machine.precision}", 0, dtype),
        ("plain, float32", 1, torch.float32),
    ):
        found, limit = statistics.median(pair[i] for pair in of_both), rate(of, square)
        print(
            f"  {name}: {1000 * found:.1f} ms a step, {STREAMS * STEPS / found:,.0f} words a "
            f"second, {count / found / 1e9:.1f} of {limit / 1e9:.1f} GFLOP/s "
            f"({count / found / limit:.0%})"
        )
    ratios = [other / own for own, other in of_both]
    rest = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"  ratio: {statistics.median(ratios):.2f} (of each round: {rest})")


if __name__ == "__main__":
    main()
