"""Tests that need a GPU, and seconds an epoch on it beside the CPU; one process, a few minutes.

    make gpu PYTHON=python3           any Python with PyTorch: no .venv, no network
    PYTHONPATH=src python3 benchmarks/gpu.py --quick

It runs the tests marked `gpu`, then trains `baseline` of addition (the book's setting) and `rnnlm`
at the sizes of the root study, on the GPU and with one thread on the CPU: one seed as it is trained
alone, and on the GPU several as one program (`compute.executor: stacked`). On the GPU alone it
trains language models of 650 units in two layers and of 1,150 in three, with and without dropped
weights. The Penn Treebank cannot be had without a network: language models read words drawn at
random, as many as there are in it, from a vocabulary of the same size. Where there is no GPU, the
tests are skipped and the CPU alone is measured. The table goes to reports/gpu/<name of the card, or
cpu>.md and .json.
"""

import argparse
import importlib.util
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from limits import product, seconds
from made_up import corpus
from measurements.pairs import training_operations
from stopwatch import seconds_of, seconds_of_stack, wait
from trainings import weights
from unroll.data.corpus import Corpus
from unroll.errors import TrainingError, first_line
from unroll.options import Compute, CorpusOptions, PairsOptions, VariantOptions
from unroll.storage.files import write_json, write_text
from unroll.storage.yaml import read_yaml
from unroll.tasks.addition import Addition, AdditionOptions
from unroll.training.loop import Training
from unroll.training.machine import Machine, choose
from unroll.training.run import begin
from unroll.training.sources import sources_digest
from unroll.training.stacked import Stack

ROOT = Path(__file__).parents[1]
FOR_TESTS = ("pytest", "hypothesis")

# Those of the Penn Treebank (data/ptb.py, which cannot be imported without a network's library).
WORDS = 10_000
TOKENS = {"train": 929_589, "valid": 73_760, "test": 82_430}

WARM_UP = 20  # steps: kernels are chosen and memory is fetched
FEWEST = 20  # steps that are measured
SECONDS = 5.0  # for the steps of a row; if they do not hold an epoch, the rest is extrapolated
STACKED = (1, 4, 16, 64)  # seeds as one program

# Units and layers of the language models that are trained on a GPU alone, and at toy size.
LARGE, TOY = ((650, 2), (1150, 3)), ((13, 2), (23, 3))
LARGE_OPTIONS = {
    "tie_weights": True, "dropout": 0.5, "variational_dropout": True, "init": "default",
    "optimizer": "adamw", "learning_rate": 0.001, "clip": 1.0,
}  # fmt: skip
# Rows and columns of the matrices by which a machine is measured.
SQUARE, TOY_SQUARE = {"cuda": 8192, "cpu": 1024}, 256
PRODUCTS = 20  # of these, after as many others


@dataclass(eq=False)  # pytest keeps its plugins in a set
class Tests:
    """A plugin of pytest that counts what became of the tests."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)
    not_run: str | None = None  # why

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._fail(report.nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self._fail(f"{report.nodeid} ({report.when})")
        elif report.skipped:
            self.skipped += 1
        elif report.when == "call":
            self.passed += 1

    def _fail(self, where: str) -> None:
        self.failed += 1
        self.failures.append(where)

    def __str__(self) -> str:
        if self.not_run:
            return f"not run: {self.not_run}"
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return ": ".join([counts, *([", ".join(self.failures)] if self.failures else [])])


def run_tests() -> Tests:
    """Run the tests marked `gpu` in this process, whatever plugins pytest has here."""
    found = Tests()
    if lacking := [name for name in FOR_TESTS if importlib.util.find_spec(name) is None]:
        found.not_run = f"not installed here: {', '.join(lacking)}"
        return found
    import pytest

    sys.path.insert(0, str(ROOT / "tests"))  # for models.toys

    plain = ["-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:xdist"]
    where = ["--rootdir", str(ROOT), "--confcutdir", str(ROOT / "tests/gpu")]
    asked = ["-q", "-rs", "-m", "gpu", str(ROOT / "tests/gpu")]
    code = pytest.main([*plain, *where, *asked], plugins=[found])
    if code and not found.failed:
        found._fail(f"pytest ended with {code!s}")
    return found


@dataclass(frozen=True)
class Workload:
    """What is trained: a variant of the root study, and data of its size."""

    name: str
    options: VariantOptions
    data: Any
    operations: Callable[[Training], float]  # of the matrix products, for a question or a word
    of_step: int  # questions or words that a seed reads in a step
    small: bool = True  # it is measured on a CPU and stacked, too

    def rows(self, quick: bool) -> Iterator[tuple[Machine, int]]:
        """Yield on what machine each row is measured, and how many seeds are stacked (0: none)."""
        found = machines()
        on_gpu = found[0].device == "cuda"
        for machine in found:
            if self.small or quick or machine.device == "cuda":
                yield machine, 0
        if self.small and (on_gpu or quick):
            yield from ((found[0], seeds) for seeds in (STACKED[:2] if quick else STACKED))


def workloads(quick: bool) -> Iterator[Workload]:
    """Yield `baseline`, `rnnlm` and larger language models; with `quick` at toy size."""
    params = read_yaml(ROOT / "params.yaml")
    tasks, variants = params["tasks"], params["variants"]
    addition = tasks["addition"]
    options = {**addition["defaults"], **variants["baseline"]}
    small = {"train": 600, "valid": 100, "test": 100} if quick else {}
    questions = Addition(AdditionOptions.model_validate({**addition["data"], **small})).prepare()
    yield Workload(
        "addition",
        PairsOptions.model_validate(options),
        questions,
        lambda one: training_operations(one, questions),
        options["batch_size"],
    )
    options = {**tasks["ptb"]["defaults"], **variants["rnnlm"]}
    sizes = {split: count // 200 for split, count in TOKENS.items()} if quick else TOKENS
    text = corpus(sizes, WORDS // 100 if quick else WORDS)
    yield _language_model("rnnlm", options, text)
    for units, layers in TOY if quick else LARGE:
        shape = {"layers": layers, "embedding_size": units, "hidden_size": units}
        for name, drop in ((f"{units} × {layers}", 0.0), (f"{units} × {layers}, weight drop", 0.5)):
            own = {**options, **LARGE_OPTIONS, **shape, "weight_drop": drop}
            yield _language_model(name, own, text, small=False)


def _language_model(name: str, options: Any, text: Corpus, small: bool = True) -> Workload:
    return Workload(
        name,
        CorpusOptions.model_validate(options),
        text,
        lambda one: 3 * 2 * weights(one.objective.model),
        options["batch_size"] * options["time_steps"],
        small,
    )


def machines() -> list[Machine]:
    """Return the GPU, if there is one, and the CPU, each as `auto` has it and in float32."""
    devices = ["cuda", "cpu"] if torch.cuda.is_available() else ["cpu"]
    found = [
        choose(Compute(device=device, precision=precision))
        for device in devices
        for precision in ("auto", "float32")
    ]
    return list(dict.fromkeys(found))


def rate_of(machine: Machine, quick: bool) -> float:
    """Return how many operations of matrix products a second a machine does."""
    machine.prepare_process()
    square = TOY_SQUARE if quick else SQUARE[machine.device]
    multiply = product(machine.precision, square, machine.device)

    def several() -> None:
        for _ in range(PRODUCTS):
            multiply()
        wait()

    several()
    return PRODUCTS * 2 * square**3 / seconds(several)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    workload: str
    device: str
    precision: str
    stacked: int  # seeds that are one program; 0: one that is trained alone
    steps: int  # of an epoch
    measured: int  # of them
    train_seconds: float  # of an epoch, in all of them
    valid_seconds: float
    loss: float  # the mean of the steps that were taken: a training that diverged measures nothing
    gpu_memory_mb: float | None
    examples: float  # a second of training, of all seeds: questions or words
    share: float  # of the rate of matrix products that the machine has

    @property
    def epoch_seconds(self) -> float:
        """Seconds of an epoch of one seed: its training and the scoring of the validation split."""
        return self.train_seconds / max(1, self.stacked) + self.valid_seconds


def measure(
    work: Workload, machine: Machine, rate: float, for_steps: float, stacked: int = 0
) -> Row:
    """Train for `for_steps` seconds, or for an epoch; score the validation split once."""
    machine.prepare_process()
    options, on_gpu = work.options, machine.device == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seeds = max(1, stacked)
    trainings = [
        Training(begin(options, work.data, seed, machine), options) for seed in range(seeds)
    ]
    training, steps = trainings[0], trainings[0].objective.steps
    timed = (
        partial(seconds_of_stack, Stack(trainings)) if stacked else partial(seconds_of, training, 1)
    )
    timed(WARM_UP)
    each = timed(FEWEST) / min(FEWEST, steps)
    measured = min(steps, max(FEWEST, round(for_steps / each)))
    train_seconds = timed(measured) * steps / measured
    loss = training.mean_loss()
    started = time.perf_counter()
    training.objective.validate()
    wait()
    valid_seconds = time.perf_counter() - started
    examples = seeds * work.of_step * steps / train_seconds
    memory = round(torch.cuda.max_memory_allocated() / 1e6, 1) if on_gpu else None
    return Row(
        work.name,
        machine.device,
        machine.precision,
        stacked,
        steps,
        measured,
        round(train_seconds, 4),
        round(valid_seconds, 4),
        round(loss, 4),
        memory,
        round(examples, 1),
        round(examples * work.operations(training) / rate, 6),
    )


HEAD = """\
| model | device | precision | stacked | steps | measured | training | scoring | of a seed | times \
| a second | of the machine | memory |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def table(rows: list[Row]) -> str:
    """Return the table, and how many times faster than the CPU's fastest each row is."""
    lines = []
    for row in rows:
        on_cpu = [
            other.epoch_seconds
            for other in rows
            if (other.workload, other.device) == (row.workload, "cpu")
        ]
        cells = [
            row.workload,
            row.device,
            row.precision,
            str(row.stacked or ""),
            f"{row.steps:,}",
            f"{row.measured:,}",
            f"{row.train_seconds:.2f}",
            f"{row.valid_seconds:.2f}",
            f"{row.epoch_seconds:.3g}" + ("" if row.measured == row.steps else " (extrapolated)"),
            f"{min(on_cpu) / row.epoch_seconds:.1f}" if on_cpu else "",
            f"{row.examples:,.0f}",
            f"{row.share:.1%}",
            "" if row.gpu_memory_mb is None else f"{row.gpu_memory_mb:,.0f} MB",
        ]
        lines.append(f"| {' | '.join(cells)} |\n")
    return HEAD + "".join(lines)


def report(rows: list[Row], tests: Tests, facts: dict[str, Any], quick: bool) -> str:
    """Return what people read."""
    rates = ", ".join(f"{name} {rate / 1e12:.2f} TFLOP/s" for name, rate in facts["rates"].items())
    versions = ", ".join(f"{name} {facts[name]}" for name in ("torch", "cuda", "python", "numpy"))
    toy = "\nToy size (`--quick`): the seconds say nothing.\n" if quick else ""
    return f"""\
# {facts["gpu"] or facts["cpu"]}

{facts["gpu"] or "No GPU"}; CPU: {facts["cpu"]}, one thread, as a worker has it. {versions}.
{toy}
{table(rows)}
Seconds, without checkpoints. *stacked*: so many seeds as one program; where it is empty, one that
is trained alone. *training*: the steps of an epoch, in all of them, measured after
{WARM_UP + FEWEST} others; where fewer than an epoch's were measured, the rest is extrapolated.
*scoring*: the validation split, once. *of a seed*: its share of the training, and its scoring.
*times*: how many times as fast as the fastest row of the CPU. *a second*: questions, or words, of
all seeds in training. *of the machine*: the matrix products of the training, as a share of those
that the machine does a second in that precision ({rates}). Language
models read made-up words, as many as the Penn Treebank has, of a vocabulary of {WORDS:,}: that text
cannot be fetched without a network.

Tests marked `gpu`: {tests}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="toy size: for tests of this script")
    parser.add_argument("--no-tests", action="store_true", help="measure only")
    parser.add_argument("--output", type=Path, default=ROOT / "reports/gpu", metavar="FOLDER")
    asked = parser.parse_args()
    tests = Tests(not_run="not asked for") if asked.no_tests else run_tests()
    rates = {machine: rate_of(machine, asked.quick) for machine in machines()}
    rows, lacking = [], []
    for work in workloads(asked.quick):
        for machine, stacked in work.rows(asked.quick):
            for_steps = 0.1 if asked.quick else SECONDS
            seeds = f", {stacked} stacked" if stacked else ""
            place = f"{work.name}, {machine.device} in {machine.precision}{seeds}"
            try:
                row = measure(work, machine, rates[machine], for_steps, stacked)
            except (RuntimeError, TrainingError) as error:  # it costs the others nothing
                lacking.append(f"{place}: {first_line(error)}")
                print(lacking[-1], flush=True)
                continue
            rows.append(row)
            print(
                f"{place}: "
                f"{row.epoch_seconds:.3g} s an epoch of a seed ({row.measured:,} of {row.steps:,} "
                "steps measured)",
                flush=True,
            )
    cpu = choose(Compute(device="cpu")).environment()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    facts = {
        "gpu": gpu,
        "cpu": cpu["device_name"],
        **{name: cpu[name] for name in ("torch", "python", "numpy")},
        "cuda": torch.version.cuda or "none",
        "sources": sources_digest(),
        "rates": {f"{m.device} in {m.precision}": round(rate) for m, rate in rates.items()},
    }
    text = report(rows, tests, facts, asked.quick) + "".join(
        f"\nNot measured: {of}\n" for of in lacking
    )
    name = re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-") if gpu else "cpu"
    found = {"quick": asked.quick, **facts, "tests": asdict(tests), "lacking": lacking}
    found["rows"] = [{**asdict(row), "epoch_seconds": round(row.epoch_seconds, 4)} for row in rows]
    write_json(asked.output / f"{name}.json", found)
    write_text(asked.output / f"{name}.md", text)
    print(f"\n{text}\nwritten: {asked.output / name}.md and .json")
    sys.exit(1 if tests.failed or lacking else 0)


if __name__ == "__main__":
    main()
