"""What a word of a text costs as the text grows, from a tenth of the Penn Treebank to ten of it.

Made-up sentences: words as seldom as those of a text, a vocabulary of 10,000, as many tokens as the
Penn Treebank has, times the size. Reading is `unroll prepare` of a folder of texts; training takes
the same number of steps from each, on prepared data that lie on disk. Each has a process of its
own, whose greatest memory is noted. The goal: a word costs the same within 10 % at all sizes.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import made_up
from results import Found, Grown
from turns import Turns, apart

TOKENS = 929_589  # of the Penn Treebank's train
MICRO = 1e6
TRAINING = "training on a word of a text"
GOAL = 1.1  # the dearest word, as times the cheapest


def measure(
    turns: Turns, sizes: Sequence[float], words: int, valid: int, steps: int, options: Any
) -> Iterator[Found]:
    """Yield microseconds of a word and megabytes, of reading and of training."""
    found: dict[str, dict[float, list[float]]] = {
        name: {size: [] for size in sizes} for name in ("read", "read MB", "train", "train MB")
    }
    with tempfile.TemporaryDirectory() as name:
        for size in sizes:
            _write(Path(name) / f"{size:g}", round(size * TOKENS), valid, words)
        for number in range(turns.rounds):
            for size in sizes:
                folder = Path(name) / f"{size:g}"
                for what, (seconds, megabytes) in {
                    "read": apart(prepare, folder),
                    "train": apart(train, folder, options, steps),
                }.items():
                    found[what][size].append(MICRO * seconds)
                    found[f"{what} MB"][size].append(megabytes)
            print(f"  round {number + 1} of {turns.rounds}", flush=True)
    by = "the text, in Penn Treebanks"
    yield Grown("reading a word of a text", by, "µs", found["read"])
    yield Grown(TRAINING, by, "µs", found["train"])
    yield Grown("memory while a text is read", by, "MB", found["read MB"])
    yield Grown("memory while a text is trained on", by, "MB", found["train MB"])


def _write(folder: Path, tokens: int, valid: int, words: int) -> None:
    folder.mkdir()
    for split, count in (("train", tokens), ("valid", valid), ("test", valid)):
        made_up.write_text(folder / f"{split}.txt", count, words)


def prepare(folder: Path) -> float:
    """Prepare the text of a folder; return the seconds of each of its words."""
    from unroll.kinds import named
    from unroll.tasks.text import Text, TextOptions

    started = time.perf_counter()
    data = Text(TextOptions(kind="text", source=str(folder))).prepare()
    named("corpus").save(data, folder / "prepared")
    return (time.perf_counter() - started) / sum(map(len, data.tokens.values()))


def train(folder: Path, options: Any, steps: int) -> float:
    """Train on a prepared text for so many steps; return the seconds of each word."""
    from trainings import training
    from unroll.kinds import named

    one = training("corpus", named("corpus").load(folder / "prepared"), **options)
    losses = one.objective.losses(1)
    for loss in islice(losses, 3):  # warms up
        one.step(loss)
    started, read = time.perf_counter(), options["batch_size"] * options["time_steps"]
    for loss in islice(losses, steps):
        one.step(loss)
    one.mean_loss()  # a training that diverged measures nothing
    return (time.perf_counter() - started) / (steps * read)
