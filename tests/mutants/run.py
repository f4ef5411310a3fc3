"""Changes the sources in many small ways, one at a time, and asks whether a plan notices.

    python tests/mutants/run.py                          all of them: a quarter of an hour
    python tests/mutants/run.py --sample 300 --seed 1    some, drawn at random
    python tests/mutants/run.py --minutes 30             as many as there is time for

A plan must change where what the code does has changed: DVC trains again only then. Each mutant
is applied in a copy of src/unroll, and the plans of variants that use all options are made anew.
The survivors, whose plans are all as before, are written to a table; docs/mutants.md explains
those there are.
"""

import csv
import math
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, Queue

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

from mutants.house import SOURCES, Asked, House
from mutants.operators import Mutant, mutants, statement_lines
from mutants.variants import asked

# What computes: all that a training does between its prepared data and its record.
FILES = (
    "data/batches.py",
    "data/sequences.py",
    "evaluation/accuracy.py",
    "evaluation/classification.py",
    "evaluation/perplexity.py",
    "evaluation/reading.py",
    "evaluation/texts.py",
    "generation/answering.py",
    "generation/decoding.py",
    "models/classifier.py",
    "models/decoders.py",
    "models/dropout.py",
    "models/encoder.py",
    "models/initialise.py",
    "models/language_model.py",
    "models/layers.py",
    "models/linear_cross_entropy.py",
    "models/mixture.py",
    "models/mogrifier.py",
    "models/padding.py",
    "models/recurrence.py",
    "models/seq2seq.py",
    "models/side.py",
    "training/checkpoint.py",
    "training/corpus.py",
    "training/labels.py",
    "training/loop.py",
    "training/muon.py",
    "training/objective.py",
    "training/optimisation.py",
    "training/pairs.py",
    "training/schedules.py",
    "training/weights.py",
    "training/windows.py",
)

# Each value of each option stands in one of them.
ASKED = (
    *asked("train", "plain", "gru", "rnn", "book", "modern", "reversed", "masked-reversed"),
    *asked("train", "peeky", "attention-modern", "own-steps", "own-sequences"),
    *asked("train", "last", "last-modern", "pooled-masked", "words-gru"),
    *asked("train", "words-book", "tied-book", "skipping", "words-modern"),
    *asked("train", "awd", "mogrified", "mixed-softmaxes", "muon", "plateau"),
    *asked("evaluate", "attention", "attention-modern", "pooled-masked", "last-modern"),
    *asked("evaluate", "words-book"),
    *asked("evaluate_texts", "attention-modern"),
    *asked("generate", "words-book"),
)
# These import all that the others do.
WARM = ("train/last", "train/own-steps", "train/words-modern", "generate/words-book")
OUTCOMES = ("behaviour", "crash", "tokens", "survived", "not run")
LIVED = OUTCOMES[-2:]


class Trial:
    """What is known of the sources as they are, and what became of each mutant."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, str]] = {}
        self.lines: dict[str, dict[str, set[int]]] = {}  # by plan and file
        self.caught: Counter[tuple[str, str]] = Counter()  # by file and plan
        self.found: list[tuple[Mutant, str, str]] = []  # with outcome and what was said

    def learn(self, house: House) -> None:
        """Make the plans of the sources as they are."""
        for one in ASKED:
            answer = house.lines(one)
            if "crash" in answer:
                raise click.ClickException(f"the sources as they are: {answer['crash']}")
            self.known |= answer["plans"]
            self.lines[one.name] = {f: set(of) for f, of in answer["lines"].items()}

    def concerned(self, mutant: Mutant) -> list[Asked]:
        """Return the plans that run the line of a mutant, those first that caught the most."""
        spans = statement_lines((SOURCES / mutant.file).read_text())
        first, last = spans.get(mutant.line, (mutant.line, mutant.line))
        span = set(range(first, last + 1))
        there = [a for a in ASKED if self.lines[a.name].get(mutant.file, set()) & span]
        return sorted(there, key=lambda a: -self.caught[mutant.file, a.name])

    def outcome(self, house: House, mutant: Mutant) -> tuple[str, str]:
        """Return what became of a mutant, and which plan or fault said so."""
        concerned = self.concerned(mutant)
        if not concerned:
            return "not run", ""
        with house.edited({mutant.file: mutant.text}):
            answer = house.plans(concerned, self.known)
        if "crash" in answer:
            return "crash", answer["crash"]
        if changed := answer.get("changed"):
            self.caught[mutant.file, changed] += 1
            return "behaviour", changed
        for name, plan in answer["plans"].items():
            if plan != self.known[name]:
                return "tokens", name
        return "survived", ""


@click.command(help=__doc__)
@click.option("--sample", type=click.IntRange(min=1), help="Try so many, drawn at random.")
@click.option("--seed", default=0, show_default=True, help="Of the draw.")
@click.option("--file", "only", multiple=True, help="Of these files only, named from src/unroll.")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--minutes", type=click.FloatRange(min=0), help="Begin no more after these.")
@click.option("--list", "listed", is_flag=True, help="Count the mutants of each file, try none.")
@click.option("--survivors", default="survivors.csv", show_default=True, type=Path)
def main(
    sample: int | None,
    seed: int,
    only: tuple[str, ...],
    jobs: int,
    minutes: float | None,
    listed: bool,
    survivors: Path,
) -> None:
    everything = [m for file in only or FILES for m in mutants(file, (SOURCES / file).read_text())]
    if listed:
        for file, count in Counter(m.file for m in everything).items():
            click.echo(f"{count:5} {file}")
        click.echo(f"{len(everything):5} in all")
        return
    # In a random order: those that were tried when time is up are a sample, too.
    tried = random.Random(seed).sample(everything, min(sample or len(everything), len(everything)))
    click.echo(f"{len(tried)} of {len(everything)} mutants")
    trial = Trial()
    run(trial, tried, jobs, 60 * minutes if minutes else math.inf)
    _write(survivors, trial)
    click.echo(table(trial))
    click.echo(f"the survivors: {survivors}")


def run(trial: Trial, tried: list[Mutant], jobs: int, seconds: float = math.inf) -> None:
    """Try mutants, some at a time, until all are tried or time is up."""
    left: Queue[Mutant] = Queue()
    for mutant in tried:
        left.put(mutant)
    started, lock = time.monotonic(), threading.Lock()

    def work(house: House) -> None:
        with house:
            house.warm([one for one in ASKED if one.name in WARM])
            with lock:
                if not trial.known:
                    trial.learn(house)
            while time.monotonic() - started < seconds:
                try:
                    mutant = left.get_nowait()
                except Empty:
                    return
                outcome, said = trial.outcome(house, mutant)
                with lock:
                    trial.found.append((mutant, outcome, said))
                    _tell(trial, len(tried), started)

    with ThreadPoolExecutor(jobs) as workers:
        for done in [workers.submit(work, House()) for _ in range(jobs)]:
            done.result()


def _tell(trial: Trial, count: int, started: float) -> None:
    done = len(trial.found)
    last, outcome, _ = trial.found[-1]
    if outcome in LIVED:
        click.echo(
            f"{outcome}: {last.file}:{last.line} {last.operator} {last.occurrence}", err=True
        )
    if done % 10 and done != count:
        return
    outcomes = Counter(outcome for _, outcome, _ in trial.found)
    seconds = time.monotonic() - started
    told = ", ".join(f"{outcomes[o]} {o}" for o in OUTCOMES if outcomes[o])
    click.echo(f"{done}/{count}, {seconds:.0f} s: {told}", err=True)


def _write(path: Path, trial: Trial) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["file", "line", "operator", "occurrence", "outcome", "before", "after"])
        lived = [(m, o) for m, o, _ in trial.found if o in LIVED]
        for m, outcome in sorted(lived, key=lambda x: (x[0].file, x[0].line, x[0].operator)):
            before = (SOURCES / m.file).read_text().splitlines()[m.line - 1].strip()
            after = m.text.splitlines()[m.line - 1].strip()
            rows.writerow([m.file, m.line, m.operator, m.occurrence, outcome, before, after])


def table(trial: Trial) -> str:
    """Return the outcomes by file, and their shares."""
    counts: dict[str, Counter[str]] = {}
    for mutant, outcome, _ in trial.found:
        counts.setdefault(mutant.file, Counter())[outcome] += 1
    counts = dict(sorted(counts.items()))
    counts["all"] = sum(counts.values(), Counter())
    rows = ["file".ljust(32) + "".join(o.rjust(11) for o in OUTCOMES) + "noticed".rjust(11)]
    for name, of in counts.items():
        noticed = 1 - (of["survived"] + of["not run"]) / of.total()
        numbers = "".join(str(of[o]).rjust(11) for o in OUTCOMES)
        rows.append(f"{name:32}{numbers}{noticed:>11.1%}")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
