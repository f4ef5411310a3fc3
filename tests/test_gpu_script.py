"""What `make gpu` runs: with no GPU it measures the CPU, and says that the tests were skipped."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from unroll import study
from unroll.data import ptb
from unroll.data.sequences import SPLITS

pytestmark = pytest.mark.long  # a script of minutes, at toy size

ROOT = Path(__file__).parents[1]
SCRIPT = "benchmarks/gpu.py"


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Run the script as the Makefile does: with src on the path, nothing else."""
    return subprocess.run(
        [sys.executable, str(ROOT / SCRIPT), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, str, str]:
    """Return the JSON, the page and the output of a run at toy size, started in another folder."""
    folder = tmp_path_factory.mktemp("gpu")
    done = run("--quick", "--output", str(folder / "gpu"), cwd=folder)
    assert not done.returncode, done.stdout
    assert sorted(path.name for path in (folder / "gpu").iterdir()) == ["cpu.json", "cpu.md"]
    written = (folder / "gpu/cpu.json").read_text(), (folder / "gpu/cpu.md").read_text()
    return json.loads(written[0]), written[1], done.stdout


def test_the_tests_are_skipped_where_there_is_no_gpu_and_counted(quick):
    found, page, _ = quick
    assert found["tests"]["skipped"] >= 30
    assert (found["tests"]["passed"], found["tests"]["failed"]) == (0, 0)
    assert found["tests"]["not_run"] is None
    assert f"0 passed, 0 failed, {found['tests']['skipped']} skipped" in page


def test_both_trainings_are_measured_on_the_cpu(quick):
    found, page, _ = quick
    small = [row for row in found["rows"] if row["workload"] in ("addition", "rnnlm")]
    assert {row["stacked"] for row in small} == {0, 1, 4}
    large = [row for row in found["rows"] if row not in small]
    assert {row["workload"] for row in large} == {
        f"{shape}{drop}" for shape in ("13 × 2", "23 × 3") for drop in ("", ", weight drop")
    }
    assert {row["stacked"] for row in large} == {0}
    for row in found["rows"]:
        assert row["device"] == "cpu"
        assert 0 < row["measured"] <= row["steps"]
        assert row["train_seconds"] > 0 and row["valid_seconds"] > 0
        of_a_seed = row["train_seconds"] / max(1, row["stacked"])
        assert row["epoch_seconds"] == pytest.approx(of_a_seed + row["valid_seconds"], abs=1e-4)
        assert 0 < row["loss"] < 10  # of chance: the logarithm of 13 symbols, of 100 words
        assert row["examples"] > 0 and 0 < row["share"] < 1
        line = f"| {row['workload']} | cpu | {row['precision']} |"
        assert line in page
    assert found["torch"] == torch.__version__
    assert found["quick"] is True
    assert "the seconds say nothing" in page


def test_the_page_is_what_was_printed(quick):
    _, page, output = quick
    assert page in output


def test_nothing_is_imported_that_a_machine_with_a_gpu_may_lack():
    asked = "import sys, runpy; sys.argv[1:] = ['--help']\n"
    asked += f"try: runpy.run_path({SCRIPT!r})\nexcept SystemExit: pass\n"
    asked += "import unroll.kinds.pairs, unroll.kinds.corpus, unroll.kinds.labels\n"
    asked += "import unroll.training.pairs, unroll.training.corpus, unroll.training.labels\n"
    asked += "import unroll.generation.answering, unroll.evaluation.attention\n"
    asked += "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    path = os.pathsep.join(str(ROOT / name) for name in ("src", "benchmarks"))
    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(re.findall(r"'(\w+)'", done.stdout))
    assert {"torch", "unroll"} <= imported
    assert not imported & {"mlflow", "dvc", "requests", "matplotlib", "scipy", "jinja2"}


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import gpu

    return gpu


def test_what_is_trained_is_that_of_the_root_study(gpu, monkeypatch):
    monkeypatch.chdir(ROOT)
    root = study.load()
    addition, rnnlm, *large = gpu.workloads(quick=True)
    assert addition.options == root.variant("baseline")
    assert rnnlm.options == root.variant("rnnlm")
    assert [(of.options.layers, of.options.weight_drop) for of in large] == [
        (2, 0.0), (2, 0.5), (3, 0.0), (3, 0.5),
    ]  # fmt: skip


def test_large_models_are_measured_on_a_gpu_alone(gpu, monkeypatch):
    card = dataclasses.replace(gpu.machines()[0], device="cuda")
    monkeypatch.setattr(gpu, "machines", lambda: [card, dataclasses.replace(card, device="cpu")])
    monkeypatch.setattr(gpu, "LARGE", gpu.TOY)
    addition, _, *large = gpu.workloads(quick=True)
    rows = [(machine.device, stacked) for machine, stacked in addition.rows(quick=False)]
    assert rows == [("cuda", 0), ("cpu", 0), *(("cuda", seeds) for seeds in gpu.STACKED)]
    for work in large:
        assert [machine.device for machine, _ in work.rows(quick=False)] == ["cuda"]


def test_operations_are_those_of_each_weight_and_word(gpu):
    _, rnnlm, *_ = gpu.workloads(quick=True)
    one = gpu.Training(gpu.begin(rnnlm.options, rnnlm.data, 0, gpu.machines()[0]), rnnlm.options)
    D, H, V = rnnlm.options.embedding_size, rnnlm.options.hidden_size, 100
    assert rnnlm.operations(one) == 6 * (4 * H * (D + H) + H * V)
    assert rnnlm.of_step == 20 * 35


def test_made_up_words_are_as_many_as_in_the_penn_treebank(gpu):
    assert gpu.WORDS == ptb.WORDS
    assert {split: ptb.FACTS[split][2] for split in SPLITS} == gpu.TOKENS
    corpus = gpu.corpus({"train": 5_000, "valid": 300, "test": 200}, words=50)
    assert [len(corpus.tokens[split]) for split in SPLITS] == [5_000, 300, 200]
    counts = [int((corpus.tokens["train"] == word).sum()) for word in range(50)]
    assert len(corpus.vocabulary) == 50 and min(counts) > 0
    assert counts[0] == pytest.approx(5_000 / sum(1 / n for n in range(1, 51)), rel=0.1)


def row(gpu, workload: str, device: str, seconds: float, measured: int = 10):
    return gpu.Row(
        workload, device, "float32", 0, 10, measured, seconds - 1, 1.0, 2.0, None, 99.0, 0.5
    )


def test_times_are_those_of_the_fastest_row_of_the_cpu(gpu):
    rows = [
        row(gpu, "a", "cuda", 2.0),
        row(gpu, "a", "cpu", 8.0),
        row(gpu, "a", "cpu", 6.0, measured=5),
        row(gpu, "b", "cpu", 30.0),
        row(gpu, "c", "cuda", 30.0),
    ]
    lines = gpu.table(rows).splitlines()[2:]
    assert [line.split("|")[10].strip() for line in lines] == ["3.0", "0.8", "1.0", "1.0", ""]
    assert ["extrapolated" in line for line in lines] == [False, False, True, False, False]


def test_a_test_that_fails_is_named_and_ends_the_script_with_an_error(gpu, tmp_path):
    (tmp_path / "tests/gpu").mkdir(parents=True)
    (tmp_path / "tests/gpu/test_toy.py").write_text(
        "import pytest\n"
        "pytestmark = pytest.mark.gpu\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 1 == 2\n"
        "@pytest.mark.skip\n"
        "def test_left_out(): pass\n"
    )
    code = (
        f"import gpu, pathlib; gpu.ROOT = pathlib.Path({str(tmp_path)!r}); print(gpu.run_tests())"
    )
    path = os.pathsep.join(str(ROOT / name) for name in ("src", "benchmarks"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    last = done.stdout.splitlines()[-1]
    assert last == "1 passed, 1 failed, 1 skipped: tests/gpu/test_toy.py::test_bad (call)"


def test_make_runs_the_script_with_the_python_that_is_named():
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "gpu", "PYTHON=some/python"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"PYTHONPATH=src some/python {SCRIPT}"
