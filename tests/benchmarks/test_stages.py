"""The benchmark is stages of DVC, and no study."""

import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from conftest import make_checkout
from unroll import study
from unroll.errors import UserError
from unroll.stages.new_study import new_study

ROOT = Path(__file__).parents[2]
PAGE = "docs/performance.md"
STAGES = YAML(typ="safe").load((ROOT / "pipeline/benchmark/dvc.yaml").read_text())["stages"]


def printed(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_no_study_is_called_benchmark(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert "quick" in study.studies() and "benchmark" not in study.studies()
    with pytest.raises(UserError, match="must not be called 'benchmark'"):
        new_study("benchmark", "quick")


def test_make_studies_runs_the_studies_and_nothing_else(monkeypatch):
    monkeypatch.chdir(ROOT)
    [line] = [
        line for line in printed("make", "--dry-run", "studies").splitlines() if "dvc repro" in line
    ]
    listed = printed("bash", "-c", "echo " + line.partition("dvc repro ")[2]).split()
    assert sorted(listed) == sorted(f"pipeline/{name}/dvc.yaml" for name in study.studies()[1:])


def test_nothing_but_its_sizes_has_an_entry_measured_again():
    [measure] = [STAGES["measure"]["do"]]
    assert STAGES["measure"]["foreach"] == "${entries}" and "deps" not in measure
    assert measure["params"] == [{"pipeline/benchmark/params.yaml": ["turns", "entries.${key}"]}]


def test_what_was_measured_and_written_is_in_git():
    outs = [*STAGES["measure"]["do"]["outs"], *STAGES["page"]["outs"]]
    for out in outs:
        [(path, options)] = out.items()
        assert options["cache"] is False
        ignored = subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT).returncode
        assert ignored != 0 or not (ROOT / ".git").exists()


@pytest.mark.slow
@pytest.mark.long
def test_an_entry_that_fails_costs_the_others_nothing_and_keeps_what_it_had(tmp_path):
    checkout, yaml = make_checkout(tmp_path / "project"), YAML(typ="safe")
    params = checkout.folder / "pipeline/benchmark/params.yaml"
    toy = yaml.load(ROOT / "tests/benchmarks/toy.yaml")
    good = {name: toy["entries"][name] for name in ("machine", "labels")}
    results, page = checkout.folder / "reports/benchmark/results", checkout.folder / PAGE
    repro = ("dvc", "repro", "pipeline/benchmark/dvc.yaml")

    yaml.dump({**toy, "entries": good}, params)
    checkout.run(*repro)
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    assert before.keys() == {"machine.json", "labels.json"}
    assert "| matrix products in float32 | GFLOP/s |" in page.read_text()
    assert "Stage 'pipeline/benchmark/dvc.yaml:page' didn't change" in checkout.run(*repro)

    good["labels"]["options"]["optimizer"] = "none that there is"
    yaml.dump({**toy, "entries": good}, params)
    page.unlink()
    printed = checkout.run(*repro, "--force", "--keep-going", fails=True)
    assert "entries.labels" in printed and "Traceback" not in printed
    after = {path.name: path.read_bytes() for path in results.iterdir()}
    assert after["machine.json"] != before["machine.json"]  # no two measurements are the same
    assert after["labels.json"] == before["labels.json"]
    checkout.run("python", "benchmarks/page.py")
    assert "## Labels" in page.read_text()


def test_make_benchmark_writes_the_page_where_an_entry_has_failed():
    lines = printed("make", "--dry-run", "benchmark")
    assert "--keep-going pipeline/benchmark/dvc.yaml" in lines
    assert "|| \\\n  { python benchmarks/page.py; exit 1; }" in lines
