"""Each entry is measured at toy size, and its figures are such as can be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import measure
from benchmarks.filling import fills
from results import Compared, Grown, Result, read_result, write_result
from turns import Turns, apart, peak_memory, rate
from unroll.errors import DataError, UserError
from unroll.storage.yaml import read_yaml

ROOT = Path(__file__).parents[2]
PARAMS = ROOT / measure.PARAMS
TOY = ROOT / "tests/benchmarks/toy.yaml"
ENTRIES = list(read_yaml(PARAMS)["entries"])
# What compares with something else; the others only grow, or have nothing beside them.
BESIDE = ["addition", "language-model", "translation", "labels", "captions"]


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/measure.py"), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_toy_has_the_entries_of_the_benchmark_with_the_same_measures():
    toy, full = (read_yaml(path)["entries"] for path in (TOY, PARAMS))
    assert list(toy) == list(full)
    for name, sizes in full.items():
        assert sizes.keys() - {"turns"} == toy[name].keys() - {"turns"}, name


@pytest.mark.parametrize("name", ENTRIES)
def test_the_sizes_are_what_the_measurement_takes(name):
    turns, sizes = measure.sizes_of(PARAMS, name)
    assert turns.rounds >= 3 and "turns" not in sizes


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_is_measured(name, tmp_path):
    done = run(name, "--params", str(TOY), "--reports", str(tmp_path))
    assert not done.returncode, done.stdout
    assert [path.name for path in (tmp_path / "results").iterdir()] == [f"{name}.json"]
    found, turns = read_result(tmp_path, name), measure.sizes_of(TOY, name)[0]
    assert found.entry == name and found.machine["cores"] >= 1
    assert found.compared or found.grown
    for of in found.compared:
        assert all(len(values) == turns.rounds for values in of.ways.values())
        assert all(value > 0 for values in of.ways.values() for value in values)
        assert of.what in done.stdout
    for of in found.grown:
        assert all(value > 0 for values in of.points.values() for value in values)
        assert list(of.points) == sorted(of.points) and len(of.points) > 1
    assert any(len(of.ways) > 1 for of in found.compared) == (name in BESIDE)
    for of in found.compared:
        if of.operations:
            assert all(0 < of.share(way, "float32").median < 1 for way in of.ways)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("nothing", "entries: {machine: {megabytes: 1}}", "has no entry 'nothing'"),
        ("machine", "entries: {machine: {megabyte: 1}}", "entries.machine: .*megabyte"),
        ("machine", "entries: {machine: {}}", "entries.machine: missing .*megabytes"),
        (
            "mine",
            "entries: {mine: {}}",
            "entries.mine: there is no .*/measurements/mine.py",
        ),
        ("machine", "tasks: {}", "must hold the sections turns and entries"),
    ],
)
def test_what_cannot_be_measured_is_named(name, text, told, tmp_path):
    params = tmp_path / "params.yaml"
    turns = "" if "tasks" in text else "turns: {rounds: 1, seconds: 0, square: 8}\n"
    params.write_text(turns + text)
    with pytest.raises(UserError, match=told):
        measure.sizes_of(params, name)


@pytest.mark.slow
def test_a_mistake_has_no_traceback_and_writes_nothing(tmp_path):
    done = run("adition", "--reports", str(tmp_path))
    assert done.returncode and "Traceback" not in done.stdout
    assert "Error: pipeline/benchmark/params.yaml has no entry 'adition'" in done.stdout
    assert "addition" in done.stdout
    assert not list(tmp_path.iterdir())


def test_ways_are_called_in_turn_after_a_first_time():
    called = []

    def way(name: str) -> int:
        called.append(name)
        return 3

    found = Turns(rounds=2, seconds=0, square=8).rates({n: lambda n=n: way(n) for n in "ab"})
    assert called == ["a", "b", "a", "b", "a", "b"]
    assert found.keys() == {"a", "b"} and all(len(rates) == 2 for rates in found.values())


def test_a_rate_is_of_all_calls_until_the_seconds_have_passed(monkeypatch):
    now = iter([10.0, 10.4, 10.8, 11.25])
    monkeypatch.setattr("turns.time.perf_counter", lambda: next(now))
    assert rate(lambda: 5, seconds=1.0) == pytest.approx(15 / 1.25)


def test_ratios_and_shares_are_of_the_same_round():
    of = Compared("x", "s", {"own": [2, 9], "other": [1, 3]}, 10, {"float32": [40, 90]})
    assert of.ratio("other") == (2.5, 2, 3)
    assert of.share("own", "float32") == (0.75, 0.5, 1)
    assert of.share("own", "bfloat16") is None


@pytest.mark.parametrize("k", [-1, 0, 1, 1.5, 2])
def test_an_exponent_is_that_of_the_power(k):
    of = Grown("x", "H", "ms", {size: [3 * size**k, 7 * size**k] for size in (2, 8, 32)})
    assert of.exponent() == pytest.approx((k, k, k), abs=1e-12)


def test_a_result_is_read_as_it_was_written_and_damage_is_told(tmp_path):
    compared, grown = Compared("x", "s", {"a": [1.5]}), Grown("y", "N", "ms", {1: [2.0], 2.5: [3]})
    written = Result("some", {"rounds": 1}, "2020-01-01", 0.5, {"cores": 2}, [compared], [grown])
    write_result(tmp_path, written)
    assert read_result(tmp_path, "some") == written
    assert read_result(tmp_path, "other") is None
    (tmp_path / "results/some.json").write_text('{"entry": "some"')
    with pytest.raises(DataError, match=r"some\.json.*; run: dvc repro -f .*measure@some"):
        read_result(tmp_path, "some")


@pytest.mark.slow
def test_memory_is_that_of_the_process_alone():
    few, peak = apart(fills, 1)
    assert few == 10**6
    _, more = apart(fills, 200)
    assert 150 < more - peak < 250
    held = bytearray(400 * 10**6)
    assert peak_memory() > 400
    _, again = apart(fills, 1)
    assert again < peak + 50 < peak_memory()
    assert held
