"""Each benchmark runs at toy size, and its figures are such as can be."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unroll.data.labels import from_texts, save_labelled

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
LARGE = {"measure.py", "page.py"}  # those of `make benchmark`: tests/benchmarks
SCRIPTS = sorted(
    path.name
    for path in BENCHMARKS.glob("*.py")
    if path.name not in LARGE and "__main__" in path.read_text()
)
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
    # Seconds are printed to a hundredth: of a training of three seconds half a percent.
    assert share == pytest.approx(100 * (tracked[0] / without[0] - 1), abs=1)
    assert taken == pytest.approx(100 * (tracked[1] - without[1]) / (2 * without[0]), abs=1)


@pytest.mark.long
def test_plain_attention():
    *_, about, ours, plain = run("plain_attention.py", "--quick").splitlines()
    assert about.startswith("200 pairs, ")
    for line in (ours, plain):
        epochs, bleu, chrf, right, *_ = numbers(line)
        assert epochs > 0 and 0 <= bleu <= 100 and 0 < chrf <= 100 and 0 <= right <= 100
        assert "nrefs:1|case:mixed" in line


def test_plain_attention_refuses_what_it_cannot_compare():
    told = run("plain_attention.py", "--study", "root", "--variant", "rnnlm", fails=True)
    assert "rnnlm is no variant of pairs in the study root" in told
    assert "--study NAME, or --quick" in run("plain_attention.py", fails=True)


def bags(printed: str) -> dict[str, list[float]]:
    """Return accuracy and macro F1 of each line of the table, in percent."""
    lines = [line.strip("| ").split(" | ") for line in printed.splitlines()[2:]]
    return {name: numbers(" ".join(cells)) for name, *cells in lines}


@pytest.mark.long
def test_bag_of_words():
    printed = run("bag_of_words.py", "--quick")
    assert printed.splitlines()[0] == "| | test accuracy | test macro F1 |"
    names = list(bags(printed))
    assert names[:2] == ["the commonest label", "counts, C = 1"]
    assert re.fullmatch(r"(counts|tf-idf), C = (0\.1|1|10|100)", names[-1])  # chosen on validation
    for accuracy, f1 in bags(printed).values():
        assert 0 < f1 <= 100 and 0 < accuracy <= 100
    common, f1 = bags(printed)["the commonest label"]
    assert f1 == pytest.approx(100 * common / (100 + common), abs=0.1)  # of two labels


@pytest.fixture
def mine(tmp_path):
    """Return a folder with the study mine, whose task is to be prepared."""
    for study in ("labels", "mine"):
        shutil.copytree(ROOT / "pipeline" / "labels", tmp_path / "pipeline" / study)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def test_bag_of_words_of_a_study_whose_words_tell_all(mine):
    rows = [(f"{word} {i}", label) for i in range(8) for word, label in [("yes", "a"), ("no", "b")]]
    few = [("yes 1", "a"), ("yes 2 9", "a"), ("well yes", "a"), ("no 3", "b")]
    data = from_texts({"train": [*rows, ("yes", "a")], "valid": few, "test": few}, "word")
    save_labelled(data, mine / "data" / "mine" / "prepared" / "topics")
    found = bags(run("bag_of_words.py", "--study", "mine", cwd=mine))
    assert found.pop("the commonest label") == [75.0, 42.9]  # F1 is 6/7 of a and none of b
    assert set(map(tuple, found.values())) == {(100.0, 100.0)}


def test_bag_of_words_refuses_what_it_cannot_read(mine):
    told = run("bag_of_words.py", cwd=mine, fails=True)
    assert "Traceback" not in told
    assert re.search(
        r"^Error: data/labels/prepared/topics is missing or incomplete; "
        r"run: dvc repro pipeline/labels/dvc\.yaml:prepare@topics$",
        told,
        flags=re.M,
    )
    told = run("bag_of_words.py", "--study", "root", cwd=mine, fails=True)
    assert told.strip() == "Error: addition is no task of labels"


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
