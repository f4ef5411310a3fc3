"""Each benchmark runs at toy size, and its figures are such as can be."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from unroll.data.pairs import load_pairs, save_pairs

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py") if path.name != "stopwatch.py")
PAGES = [ROOT / "README.md", BENCHMARKS / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def run(script: str, *arguments: str, cwd: Path = ROOT, fails: bool = False) -> str:
    """Run a benchmark; return what it printed."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert bool(done.returncode) == fails, done.stdout
    return done.stdout


def numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"-?\d[\d,]*\.?\d*", text)]


@pytest.mark.long
def test_addition_epoch():
    started = time.perf_counter()
    printed = run("addition_epoch.py", "--quick", "--precision", "float32", "--seeds", "2")
    elapsed = time.perf_counter() - started
    last = printed.splitlines()[-1]
    assert last.startswith("baseline, float32, 2 side by side: ")
    train, valid, both = numbers(last.partition(": ")[2])
    assert 0 < train < elapsed and 0 < valid < elapsed
    assert both == pytest.approx(train + valid, abs=0.011)


@pytest.mark.parametrize("variant", ["rnnlm", "wide"])
def test_addition_epoch_refuses_what_it_cannot_measure(variant):
    printed = run("addition_epoch.py", "--variant", variant, fails=True)
    assert f"{variant} is no variant of addition whose size is given" in printed


@pytest.mark.slow
@pytest.mark.long
def test_tracking_share():
    started = time.perf_counter()
    printed = run("tracking_share.py", "--quick")
    elapsed = time.perf_counter() - started
    lines = printed.splitlines()
    without, tracked = (numbers(line.partition("epochs): ")[2]) for line in lines[-4:-2])
    for wall, cpu, epochs in (without, tracked):
        assert 0 < epochs < wall < elapsed  # something was trained, within what was measured
        assert cpu > 0
    assert tracked[1] > without[1]  # MLflow was imported at least
    share, taken = (numbers(line)[0] for line in lines[-2:])
    assert share == pytest.approx(100 * (tracked[0] / without[0] - 1), abs=1.5)
    assert taken == pytest.approx(100 * (tracked[1] - without[1]) / (2 * without[0]), abs=1.5)


@pytest.mark.long
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_ragged(cell):
    printed = run("ragged.py", "--quick", "--cell", cell, "--rounds", "2")
    masked, plain, ratio = printed.splitlines()[-3:]
    (fast, few), (slow, many) = (numbers(line.partition(": ")[2]) for line in (masked, plain))
    assert 1 <= few < 1.5  # hardly any filling is read
    assert many > 2 * few
    assert fast > 0 and slow > 0
    median, *each = numbers(ratio)
    assert len(each) == 2 and min(each) <= median <= max(each)
    assert median == pytest.approx(fast / slow, rel=0.5)  # medians of two are means


@pytest.mark.long
def test_one_pair(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"I have {i} cats\tJ'ai {i} chats\n" for i in range(300)))
    for output in (
        run("one_pair.py", "--quick"),
        run("one_pair.py", "--quick", "--pairs", str(path)),
    ):
        first, second, third = output.splitlines()[1:]
        fast, slow, ratio = (numbers(line)[-1] for line in (first, second, third))
        assert fast > slow > 0
        assert ratio > 1


@pytest.fixture
def ragged(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import ragged

    return ragged


def test_ragged_pairs_are_such_as_can_be_prepared_and_most_are_short(ragged, tmp_path):
    save_pairs(ragged.made_up(2_000, words=50), tmp_path / "prepared")
    pairs = load_pairs(tmp_path / "prepared")
    source = np.asarray(pairs.sources["train"].lengths)
    target = np.asarray(pairs.targets["train"].lengths) - 2  # start and end
    for lengths in (source, target):
        assert lengths.min() == 3 and 30 < lengths.max() <= 40
        assert np.median(lengths) < 11
    assert np.corrcoef(source, target)[0, 1] > 0.8
    question, answer = pairs.questions("train")[0].split(), pairs.answers("train")[0].split()
    shared = min(len(question), len(answer))
    assert (len(question), len(answer)) == (source[0], target[0])
    assert question[:shared] == answer[:shared]


def test_ragged_counts_the_tokens_of_what_an_epoch_reads(ragged):
    pairs = ragged.made_up(64, words=50)
    source, target = pairs.sources["train"].lengths, pairs.targets["train"].lengths
    sizes = {"hidden_size": 4, "embedding_size": 4, "batch_size": 64}
    for padding in ("masked", "plain"):
        objective = ragged.training(pairs, padding, **sizes).objective
        tokens, places = ragged.read(objective, epoch=1)
        assert tokens == source.sum() + (target - 1).sum()
        widths = (source.max(), target.max() - 1) if padding == "masked" else (40, 41)
        assert places == 64 * sum(widths)


@pytest.mark.long
def test_verdicts():
    lines = [line.strip("| ").split(" | ") for line in run("verdicts.py", "--quick").splitlines()]
    settings = [line for line in lines if len(line) == 7 and line[1] in ("4", "8", "12")]
    assert len(settings) == 12
    assert all(0 <= share <= 100 for line in settings for share in numbers(" ".join(line[2:])))
    told = {line[0]: line[1:] for line in lines if len(line) == 4}
    assert told["peeky"] == ["100 %"] * 3


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_benchmark_says_what_it_does_and_stands_in_the_readme(script):
    shown = run(script, "--help")
    assert "--quick" in shown
    for command in re.findall(rf"^ +python benchmarks/{script} (.*)", shown, flags=re.M):
        for option in re.findall(r"--[a-z-]+", command):
            assert re.search(rf"^  {option}\b", shown, flags=re.M), option
    assert f"python benchmarks/{script}`" in (BENCHMARKS / "README.md").read_text()


@pytest.mark.long
def test_commands_that_the_docs_name_are_there():
    named = {
        (script, option)
        for page in PAGES
        for script, rest in re.findall(r"python\s+benchmarks/(\w+\.py)([^`]*)", page.read_text())
        for option in ["", *re.findall(r"--[a-z-]+", rest)]
    }
    assert {script for script, _ in named} >= set(SCRIPTS)
    shown = {script: run(script, "--help") for script in {script for script, _ in named}}
    assert all(option in shown[script] for script, option in named)
