"""docs/performance.md says what was measured, the answer first."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import page
from results import Compared, Grown, Result, Spread, write_result
from unroll.storage.yaml import read_yaml

ROOT = Path(__file__).parents[2]
PARAMS = ROOT / page.PARAMS
MACHINE = {
    "device_name": "Some CPU",
    "cores": 2,
    "memory_gb": 8.0,
    "units": ["AVX2"],
    "precision": "float32",
    "torch": "2.13",
    "numpy": "2.4",
    "python": "3.11",
    "load": 0.1,
}


def result(entry: str, *found: Compared | Grown, **machine: object) -> Result:
    compared = [of for of in found if isinstance(of, Compared)]
    grown = [of for of in found if isinstance(of, Grown)]
    return Result(entry, {}, "2020-01-01", 1.25, {**MACHINE, **machine}, compared, grown)


def addition(times: float, **machine: object) -> Result:
    ways = {"unroll, float32": [100 * times, 110 * times], page.NUMPY: [100, 110]}
    return result("addition", Compared("training baseline", "questions a second", ways), **machine)


def written(folder: Path, *results: Result) -> str:
    for one in results:
        write_result(folder / "reports", one)
    arguments = ["--params", str(PARAMS), "--reports", str(folder / "reports")]
    done = CliRunner().invoke(page.main, [*arguments, "--page", str(folder / "docs/page.md")])
    assert not done.exit_code, done.output
    return (folder / "docs/page.md").read_text()


def test_the_page_is_that_of_the_results(tmp_path):
    """Whoever measures anew, or edits what a measurement says of itself, writes the page anew."""
    entries = read_yaml(PARAMS)["entries"]
    read = {entry: page.read_result(ROOT / page.FOLDER, entry) for entry in entries}
    results = {entry: of for entry, of in read.items() if of}
    drawn = [path.stem for path in (ROOT / page.FOLDER / "plots").glob("*.svg")]
    made = page.page(entries, results, "../reports/benchmark", drawn)
    assert (ROOT / page.PAGE).read_text() == made, "run: python benchmarks/page.py"


def test_what_was_not_measured_is_named_with_its_command(tmp_path):
    text = written(tmp_path, addition(4))
    for entry in read_yaml(PARAMS)["entries"]:
        command = f"`dvc repro -f pipeline/benchmark/dvc.yaml:measure@{entry}`"
        assert (f"**Not measured yet**: {command}" in text) == (entry != "addition"), entry
        assert command in text
    assert "Nothing has been measured yet" in written(tmp_path / "empty")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (addition(4), r"4\.00 times as fast as NumPy.*in float32.*cannot be told here"),
        (addition(4, precision="bfloat16"), r"4\.00 times.*3\.5 times in bf16, is met"),
        (addition(3, precision="bfloat16"), r"3\.00 times.*3\.5 times in bf16, is missed"),
    ],
)
def test_the_goal_of_addition_is_asked_where_there_are_units_for_it(found, told):
    [sentence] = page.answers({"addition": found})
    assert re.search(told, sentence)


@pytest.mark.parametrize(("last", "told"), [(10.9, "is met (9%)"), (11.2, "is missed (12%)")])
def test_a_word_is_to_cost_the_same_in_a_long_text(last, told):
    grown = Grown(page.TRAINING, "text", "µs", {0.1: [10.0], 10: [last]})
    [sentence] = page.answers({"corpus": result("corpus", grown)})
    assert "A text 100 times as long" in sentence and told in sentence


@pytest.mark.parametrize(("seconds", "told"), [(19, "is met"), (21, "is missed")])
def test_a_thousand_runs_are_to_be_told_in_time(seconds, told):
    grown = Grown(page.TOLD, "runs", "s", {10: [1.0], 1000: [seconds]})
    [sentence] = page.answers({"tracking": result("tracking", grown)})
    assert f"1,000 runs with nothing to do**: {seconds}.0 s" in sentence and told in sentence


def test_tables_and_plots_hold_all_that_was_found(tmp_path):
    grown = Grown("a step", "N", "ms", {1: [1.0, 2.0], 4: [4.0, 8.0]})
    text = written(tmp_path, addition(4), result("growth-pairs", grown))
    assert "| Addition | training baseline | NumPy, float32 | 4.00 |" in text
    assert "| a step | N | 1.50 ms at 1 | 6.00 ms at 4 | 1.00 |" in text
    assert "| 4 | 6.00 [4.00, 8.00] |" in text
    rates, growth = (
        (tmp_path / f"reports/{name}.csv").read_text().splitlines() for name in ("rates", "growth")
    )
    assert rates[0].startswith("entry,what,way,unit,value,value_least,value_greatest,ratio,")
    assert len(rates) == 3 and len(growth) == 3
    linked = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert linked == ["../reports/plots/times.svg", "../reports/plots/growth-pairs.svg"]
    assert all((tmp_path / "docs" / link).read_text().startswith("<?xml") for link in linked)


def test_the_same_results_give_the_same_bytes(tmp_path):
    def files() -> dict[str, bytes]:
        found = (path for path in tmp_path.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in found}

    grown = Grown("a step", "N", "ms", {1: [1.0, 2.0], 4: [4.0, 8.0]})
    written(tmp_path, addition(4), result("growth-pairs", grown))
    before = files()
    written(tmp_path)
    assert files() == before


def test_entries_of_two_machines_are_told_apart():
    one, other = addition(4), result("labels", device_name="Another CPU")
    assert "Not all entries were measured on that machine" in page.machines([one, other])
    assert "Not all" not in page.machines([one, addition(3)])


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0123456, "0.0123"), (1, "1.00"), (9.999, "10.0"), (12.34, "12.3"), (1234.5, "1,234")],
)
def test_numbers_have_three_digits(value, told):
    assert page.number(value) == told
    assert page.shown(Spread(value, value, value)) == told
