"""Tokens a second: batches of pairs against one pair at a time, as tutorials train.

    python benchmarks/one_pair.py                  numbers in words, English to French
    python benchmarks/one_pair.py --pairs FILE     pairs of a file: source, tab, target on each line
    python benchmarks/one_pair.py --quick          toy size: the figures say nothing

One model (a GRU of 256 units in encoder and decoder, no attention, SGD) is trained in both ways in
one process, in turn: on batches of 64 pairs of like length, and on pairs drawn one by one, the
decoder taking a step for each word (the loop that PyTorch's translation tutorial teaches). A token
is a word of a source or a symbol to be predicted. Seconds are those of the CPU, with one thread.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import torch
import torch.nn.functional as F
from ragged import read, training

from unroll.data.batches import drawn
from unroll.data.pairs import Pairs
from unroll.tasks.translation import Translation, TranslationOptions
from unroll.training.loop import Training

SEED = 0


def prepared(path: Path | None, train: int) -> Pairs:
    """Return the pairs of a file, or numbers in words."""
    source = "numbers" if path is None else str(path)
    options = {"kind": "translation", "source": source, "train": train, "valid": 20, "test": 20}
    return Translation(TranslationOptions.model_validate(options)).prepare()


def by_batches(one: Training, epoch: int, count: int) -> int:
    """Train on batches of as many pairs; return the tokens."""
    steps = max(1, count // one.objective.batch_size)
    for loss in itertools.islice(one.objective.losses(epoch), steps):
        one.step(loss)
    tokens, _ = read(one.objective, epoch, steps)
    return tokens


def one_by_one(one: Training, epoch: int, count: int) -> int:
    """Train on as many pairs, one at a time; return the tokens."""
    objective, tokens = one.objective, 0
    for row in itertools.islice(drawn(len(objective.source), 1, SEED, epoch), count):
        source, lengths = objective.source.read(row)
        target, _ = objective.target.batch(row)
        tokens += source.shape[1] + target.shape[1] - 1
        one.step(torch.stack(list(losses(objective.model, source, lengths, target))).mean())
    return tokens


def losses(
    model: torch.nn.Module, source: torch.Tensor, lengths: torch.Tensor | None, target: torch.Tensor
) -> Iterator[torch.Tensor]:
    """Yield the loss of each symbol of a target (1, T), a step of the decoder after another."""
    memory, state = model.encode(source, lengths)
    for step in range(target.shape[1] - 1):
        logits, state, _ = model.decode(target[:, step : step + 1], state, memory)
        yield F.cross_entropy(logits[:, 0], target[:, step + 1])


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))
@click.option("--pairs", "path", type=Path, help="A file of pairs, in place of numbers in words.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--quick", is_flag=True, help="Toy size: few pairs, a small model.")
def main(path: Path | None, rounds: int, quick: bool) -> None:
    size, count, train = (16, 64, 200) if quick else (256, 640, 20_000)
    pairs = prepared(path, train)
    ways: dict[str, Callable[[Training, int, int], int]] = {
        "batches of 64 pairs of like length": by_batches,
        "one pair at a time": one_by_one,
    }
    sizes = {"cell": "gru", "hidden_size": size, "embedding_size": size, "batch_size": 64}
    sgd = {"optimizer": "sgd", "learning_rate": 0.01}
    trainings = {name: training(pairs, "masked", **sizes, **sgd) for name in ways}
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for epoch in range(1, rounds + 2):  # the first one warms up
        for name, train_so in ways.items():
            trainings[name].objective.model.train()
            started = time.process_time()
            tokens = train_so(trainings[name], epoch, count)
            if epoch > 1:
                speeds[name].append(tokens / (time.process_time() - started))
    precision = next(iter(trainings.values())).objective.machine.precision
    print(
        f"gru, {size} units, {len(pairs.form.source)} and {len(pairs.form.answers)} words, "
        f"{precision}, one thread; medians of {rounds}"
    )
    for name, of in speeds.items():
        print(f"  {name}: {statistics.median(of):,.0f} tokens a CPU second")
    ratio = statistics.median(a / b for a, b in zip(*speeds.values(), strict=True))
    print(f"  ratio: {ratio:.1f}")


if __name__ == "__main__":
    main()
