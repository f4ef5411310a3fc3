"""Sequences of many lengths: batches of like length against batches as long as the longest of all.

    python benchmarks/ragged.py                 a GRU
    python benchmarks/ragged.py --cell lstm
    python benchmarks/ragged.py --quick         toy size: the figures say nothing

Made-up pairs with lengths as in a translation set: 3 to 40 words, most of them few. One model (256
units, 2,000 words on each side) is trained on them with `padding: masked`, whose batches hold pairs
of like length and whose filling is not read, and with `padding: plain`, whose batches are drawn at
random and filled up to the longest pair of all. An epoch of each, in turn, in one process with one
thread on a CPU; a token is a word of a source or a symbol to be predicted, filling is none. The
figures are medians of the rounds, in seconds of the CPU: on an idle machine they are those of a
clock, and on a busy one what others do counts little.
"""

import itertools
import statistics
import time
from typing import Any

import click
import numpy as np
from stopwatch import seconds_of

from unroll.data.batches import batches
from unroll.data.pairs import Pairs, PairsForm
from unroll.data.sequences import SPLITS, Sequences
from unroll.data.vocabulary import SPECIAL, Vocabulary
from unroll.kinds import kind_of
from unroll.models.initialise import initialise
from unroll.options import Compute, PairsOptions
from unroll.seeds import numpy_generator
from unroll.training.loop import Training
from unroll.training.machine import choose
from unroll.training.pairs import PairsObjective

SHORTEST, LONGEST = 3, 40
TYPICAL, SPREAD = 9, 0.5  # of a lognormal: the median, and the deviation of the logarithm
RELATED = 0.15  # the same deviation of a target's length from its source's
PADDINGS = {"masked": "like length, masked", "plain": "random, filled up to the longest of all"}


def lengths(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lengths (N,) of sources and targets, start and end of targets not counted."""
    random = numpy_generator(0, "ragged", "lengths")
    sources = TYPICAL * np.exp(SPREAD * random.standard_normal(count))
    targets = sources * np.exp(RELATED * random.standard_normal(count))
    first, second = (
        side.round().clip(SHORTEST, LONGEST).astype(int) for side in (sources, targets)
    )
    return first, second


def made_up(count: int, words: int) -> Pairs:
    """Return pairs of such lengths; a target has the words of its source, as far as it goes."""
    names = [f"w{i}" for i in range(words - len(SPECIAL))]
    vocabulary = Vocabulary([*SPECIAL.values(), *names], special=dict(SPECIAL), unit="word")
    pad, start, end = (vocabulary[role] for role in ("pad", "start", "end"))
    form = PairsForm(source=vocabulary, source_width=LONGEST, target_width=LONGEST + 2)
    drawn = numpy_generator(0, "ragged", "words").integers(len(SPECIAL), words, (count, LONGEST))
    long, wide = lengths(count)
    steps = np.arange(LONGEST)
    source = np.where(steps < long[:, None], drawn, pad).astype(np.int32)
    target = np.full((count, LONGEST + 2), pad, dtype=np.int32)
    target[:, 0] = start
    target[:, 1:-1] = np.where(steps < wide[:, None], drawn, pad)
    target[np.arange(count), wide + 1] = end
    sources = Sequences(source, long.astype(np.int32))
    targets = Sequences(target, (wide + 2).astype(np.int32))
    few = slice(0, min(count, 20))
    splits = {"train": slice(None), "valid": few, "test": few}
    return Pairs(
        form,
        {split: sources.part(splits[split]) for split in SPLITS},
        {split: targets.part(splits[split]) for split in SPLITS},
        {},
    )


def training(pairs: Pairs, padding: str, **options: Any) -> Training:
    """Return a training of a model on pairs."""
    common = {"task": "ragged", "seeds": [0], "epochs": 1_000, "optimizer": "adam", "clip": 1.0}
    chosen = PairsOptions.model_validate(
        {**common, "learning_rate": 1e-3, "padding": padding, "init": "default", **options}
    )
    machine = choose(Compute(device="cpu"))
    machine.prepare_process()
    model = kind_of(chosen).build(chosen, pairs.form)
    initialise(model, chosen.init, 0)
    return Training(PairsObjective(model, pairs, chosen, 0, machine), chosen)


def read(objective: PairsObjective, epoch: int, steps: int | None = None) -> tuple[int, int]:
    """Return the tokens of an epoch, or of its first steps, and the places read for them."""
    tokens = places = 0
    order = batches(objective.lengths, objective.batch_size, objective.seed, epoch)
    for rows in itertools.islice(order, steps):
        for side, given in ((objective.source, 0), (objective.target, 1)):  # the start is given
            ids, found = side.batch(rows)
            tokens += int(found.sum()) - given * len(found)
            places += ids.numel() - given * len(found)
    return tokens, places


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))
@click.option("--cell", default="gru", show_default=True, type=click.Choice(["gru", "lstm", "rnn"]))
@click.option("--pairs", "count", default=6_400, show_default=True, type=click.IntRange(min=64))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--quick", is_flag=True, help="Toy size: few pairs, a small model.")
def main(cell: str, count: int, rounds: int, quick: bool) -> None:
    size, words, batch = (16, 50, 16) if quick else (256, 2_000, 64)
    count = 480 if quick else count
    pairs = made_up(count, words)
    sizes = {"cell": cell, "hidden_size": size, "embedding_size": size, "batch_size": batch}
    trainings = {padding: training(pairs, padding, **sizes) for padding in PADDINGS}
    speeds: dict[str, list[float]] = {padding: [] for padding in PADDINGS}
    for one in trainings.values():
        seconds_of(one, epoch=1, steps=5)  # warms up
    for epoch in range(2, rounds + 2):
        for padding, one in trainings.items():
            tokens, _ = read(one.objective, epoch)
            speeds[padding].append(tokens / seconds_of(one, epoch, clock=time.process_time))
            one.mean_loss()  # a training that diverged measures nothing
    machine = trainings["masked"].objective.machine
    average = np.mean(lengths(count))
    print(
        f"{cell}, {size} units, {words:,} words, batches of {batch}, {machine.precision} on "
        f"{machine.environment()['device_name']}, one thread: {count:,} pairs of {SHORTEST} to "
        f"{LONGEST} words, {average:.1f} on average; medians of {rounds}"
    )
    for padding, words_for_it in PADDINGS.items():
        tokens, places = read(trainings[padding].objective, epoch=2)
        print(
            f"  {words_for_it}: {statistics.median(speeds[padding]):,.0f} tokens a CPU second "
            f"({places / tokens:.2f} places read for a token)"
        )
    ratios = [a / b for a, b in zip(speeds["masked"], speeds["plain"], strict=True)]
    rest = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"  ratio: {statistics.median(ratios):.2f} (of each round: {rest})")


if __name__ == "__main__":
    main()
