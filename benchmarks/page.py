"""Write docs/performance.md, its tables and its plots from what was measured.

    python benchmarks/page.py                        what DVC's stage `page` runs
    python benchmarks/page.py --params FILE --reports FOLDER --page FILE

An entry that was not measured is named as such, with the command that measures it.
"""

import ast
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pandas as pd

import plots
from measure import PARAMS, module_file
from measurements.corpus import GOAL as DEAREST
from measurements.corpus import TRAINING
from measurements.tracking import GOAL as SECONDS
from measurements.tracking import TOLD
from results import FOLDER, Grown, Result, Spread, read_result, spread
from unroll.errors import UserError
from unroll.storage.files import write_text
from unroll.storage.tables import write_table
from unroll.storage.yaml import read_yaml

PAGE = Path("docs/performance.md")
NUMPY, FASTER = "NumPy, float32", 3.5  # addition in bf16 against NumPy
WHERE = ("device_name", "cores", "memory_gb", "units", "precision", "torch", "numpy", "python")

HEAD = """\
<!-- Written by `make benchmark` (benchmarks/page.py); what is changed by hand is lost. -->
# Performance

How fast training and answering are, beside plain code and beside what the machine could do, and
what they cost when things grow. `make benchmark` measures all of it anew ({minutes} on two cores),
`dvc repro -f pipeline/benchmark/dvc.yaml:measure@NAME` one entry, after which
`python benchmarks/page.py` writes this page anew. The sizes stand in
[pipeline/benchmark/params.yaml](../pipeline/benchmark/params.yaml).

"""

HOW = """\
## How it was measured

Each entry has a process of its own, with one thread, that keeps its memory as a worker of a
training does. What is compared is done in turn, A B A B, for some seconds each, so that a machine
that drifts hits all alike; ratios are of the same round. Figures are medians of the rounds, in
brackets the least and the greatest. *of the machine*: the matrix products that a way must compute,
as a share of those that the machine did in the same rounds (two square matrices); nothing else that
it does is counted. Exponents are those of cost = a · size^k, by least squares of the logarithms.
All figures: [rates.csv]({reports}/rates.csv), [growth.csv]({reports}/growth.csv).
"""


def number(value: float) -> str:
    """Return a number with three digits that count, or with all that stand before the point."""
    if abs(value) < 1:
        return f"{value:.3g}"
    before = len(f"{abs(value):.0f}")
    return f"{value:,.{max(0, 3 - before)}f}"


def shown(of: Spread, say: Callable[[float], str] = number) -> str:
    """Return a median, with the least and the greatest where these are not the same."""
    median, least, greatest = map(say, of)
    return median if least == greatest else f"{median} [{least}, {greatest}]"


def exponent(of: Spread) -> str:
    """Return an exponent, with the least and the greatest."""
    return shown(of, "{:.2f}".format)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Return a table, the first columns of which are words and the others numbers."""
    line = ["---"] * words + ["---:"] * (len(head) - words)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, line, *rows))


def title(entry: str) -> str:
    """Return the heading of an entry."""
    return entry.replace("-", " ").capitalize()


def rows_of_rates(result: Result) -> Iterator[dict[str, Any]]:
    """Yield a row for each thing and way that an entry has compared."""
    for of in result.compared:
        first = next(iter(of.ways))
        for way, values in of.ways.items():
            precision = result.machine["precision"] if way == first else "float32"
            yield {
                "entry": result.entry,
                "what": of.what,
                "way": way,
                "unit": of.unit,
                "value": spread(values),
                "ratio": None if way == first else of.ratio(way),
                "share": of.share(way, precision),
            }


def rows_of_growth(result: Result) -> Iterator[dict[str, Any]]:
    """Yield a row for each size that an entry has measured."""
    for of in result.grown:
        for size, values in of.points.items():
            row = {"entry": result.entry, "what": of.what, "by": of.by, "size": size}
            yield row | {"unit": of.unit, "value": spread(values), "exponent": of.exponent()}


def flat(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a table of numbers: of a spread its three."""
    spreads = {"value", "ratio", "share", "exponent"}
    return pd.DataFrame(
        {
            name: cell
            for key, value in row.items()
            for name, cell in (
                zip((key, f"{key}_least", f"{key}_greatest"), value or (None,) * 3, strict=True)
                if key in spreads
                else [(key, value)]
            )
        }
        for row in rows
    )


# The answer first


def answers(results: Mapping[str, Result]) -> Iterator[str]:
    """Yield what was found, a sentence each, and whether goals are met."""
    for entry, sentence in ANSWERS.items():
        if entry in results:
            yield sentence(results[entry])


def _against_numpy(result: Result) -> str:
    of, precision = result.compared[0], result.machine["precision"]
    ratio = of.ratio(NUMPY)
    goal = f"The goal, {FASTER} times in bf16, is {_met(ratio.median >= FASTER)}."
    if precision != "bfloat16":
        goal = (
            f"The goal is {FASTER} times in bf16. This processor has no units for that, so it "
            "cannot be told here."
        )
    return (
        f"**{of.what.capitalize()}** (addition): {shown(ratio)} times as fast as NumPy, one core "
        f"each, in {precision}. {goal}"
    )


def _language_models(result: Result) -> str:
    trained = [of for of in result.compared if of.what.startswith("training")]
    ratios = [
        f"{shown(of.ratio(list(of.ways)[1]))} ({of.what.removeprefix('training ')})"
        for of in trained
    ]
    return f"**Training a language model**: {', '.join(ratios)} times as fast as plain PyTorch."


def _text(result: Result) -> str:
    of = {one.what: one for one in result.grown}[TRAINING]
    costs, sizes = of.medians(), list(of.points)
    ratio = max(costs) / min(costs)
    return (
        f"**A text {sizes[-1] / sizes[0]:,.0f} times as long**: training costs between "
        f"{number(min(costs))} and {number(max(costs))} µs a word. The goal, the same within "
        f"{DEAREST - 1:.0%}, is {_met(ratio <= DEAREST)} ({ratio - 1:.0%})."
    )


def _tracking(result: Result) -> str:
    of = {one.what: one for one in result.grown}[TOLD]
    runs, seconds = list(of.points)[-1], of.medians()[-1]
    return (
        f"**`unroll track` of {runs:,.0f} runs with nothing to do**: {number(seconds)} s. The "
        f"goal, less than {SECONDS:.0f} s, is {_met(seconds < SECONDS)}."
    )


def _met(goal: bool) -> str:
    return "met" if goal else "missed"


ANSWERS: dict[str, Callable[[Result], str]] = {
    "addition": _against_numpy,
    "language-model": _language_models,
    "corpus": _text,
    "tracking": _tracking,
}


def overview(results: Sequence[Result]) -> str:
    """Return how many times as fast everything is as what it was measured against, and growth."""
    rates = [row for result in results for row in rows_of_rates(result) if row["ratio"]]
    times = [[title(row["entry"]), row["what"], row["way"], shown(row["ratio"])] for row in rates]
    growth = [
        [of.what, of.by, *_ends(of), exponent(of.exponent())]
        for result in results
        for of in result.grown
    ]
    parts = []
    if times:
        parts.append("How many times as fast:\n\n" + table(["", "", "against", "times"], times, 3))
    if growth:
        head = ["cost", "by", "from", "to", "exponent"]
        parts.append("How costs grow:\n\n" + table(head, growth, 2))
    return "\n".join(parts)


def _ends(of: Grown) -> list[str]:
    """Return what the smallest and the largest size cost."""
    ends = (list(of.points)[i] for i in (0, -1))
    return [f"{number(spread(of.points[x]).median)} {of.unit} at {x:g}" for x in ends]


# The machine, and one entry after another


def machines(results: Sequence[Result]) -> str:
    """Return on what the entries were measured, and when."""
    facts = {name: results[-1].machine[name] for name in WHERE}
    units = ", ".join(facts["units"]) or "none of AVX2, AVX-512, AMX"
    text = (
        f"{facts['device_name']}, {facts['cores']} cores ({units}), {facts['memory_gb']} GB; "
        f"computed in {facts['precision']}. PyTorch {facts['torch']}, NumPy {facts['numpy']}, "
        f"Python {facts['python']}.\n\n"
    )
    if len({str([of.machine[name] for name in WHERE]) for of in results}) > 1:
        text += "**Not all entries were measured on that machine**: their files say on which.\n\n"
    head = ["entry", "date", "minutes", "load when it began (other work)"]
    rows = [[of.entry, of.date, f"{of.minutes:.1f}", f"{of.machine['load']:.1f}"] for of in results]
    return text + table(head, rows, 2)


def section(entry: str, result: Result | None, prose: str, plot: str | None) -> str:
    """Return what is said of an entry."""
    command = f"`dvc repro -f pipeline/benchmark/dvc.yaml:measure@{entry}`"
    text = f"## {title(entry)}\n\n{prose}\n\n"
    if result is None:
        return text + f"**Not measured yet**: {command}\n"
    parts = [f"{command}\n"]
    if result.compared:
        parts.append(_rates(result))
    for by in dict.fromkeys(of.by for of in result.grown):
        parts.append(_costs([of for of in result.grown if of.by == by]))
    if plot:
        parts.append(f"![{title(entry)}]({plot})\n")
    return text + "\n".join(parts)


def _costs(grown: Sequence[Grown]) -> str:
    """Return the table of what costs so much by the same sizes."""
    head = [grown[0].by, *(f"{of.what}, {of.unit}" for of in grown)]
    rows = [
        [f"{size:g}", *(shown(spread(of.points[size])) for of in grown)] for size in grown[0].points
    ]
    return table(head, rows, 0)


def _rates(result: Result) -> str:
    """Return the table of what was compared, without columns in which nothing stands."""
    rows = list(rows_of_rates(result))
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "": lambda row: row["what"],
        "way": lambda row: row["way"] if row["way"] != row["unit"] else "",
        "unit": lambda row: row["unit"],
        "median [least, greatest]": lambda row: shown(row["value"]),
        "times as fast": lambda row: shown(row["ratio"]) if row["ratio"] else "",
        "of the machine": lambda row: f"{row['share'].median:.0%}" if row["share"] else "",
    }
    kept = {head: of for head, of in columns.items() if any(of(row) for row in rows)}
    words = sum(head in ("", "way", "unit") for head in kept)
    return table(list(kept), [[of(row) for of in kept.values()] for row in rows], words)


def prose_of(path: Path) -> str:
    """Return what a measurement says of itself: it is the text of the page, too."""
    first, _, rest = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n\n")
    return f"*{first}*\n\n{rest}"


def page(
    entries: Mapping[str, Any], results: Mapping[str, Result], reports: str, drawn: Sequence[str]
) -> str:
    """Return the page; `reports` is where tables and plots lie, seen from it."""
    there = list(results.values())
    whole = f"{sum(of.minutes for of in there):.0f} minutes"
    minutes = whole if len(there) == len(entries) else "about half an hour"
    answer = "".join(f"- {sentence}\n" for sentence in answers(results))
    parts = [answer or "Nothing has been measured yet: `make benchmark`\n"]
    if there:
        parts.append(overview(there))
        if plots.TIMES in drawn:
            parts.append(f"![How many times as fast]({reports}/plots/{plots.TIMES}.svg)\n")
        parts += [f"## The machine\n\n{machines(there)}", HOW.format(reports=reports)]
    for entry, sizes in entries.items():
        plot = f"{reports}/plots/{entry}.svg" if entry in drawn else None
        parts.append(section(entry, results.get(entry), prose_of(module_file(entry, sizes)), plot))
    return HEAD.format(minutes=minutes) + "\n".join(parts)


def write_reports(folder: Path, results: Sequence[Result]) -> list[str]:
    """Write tables and plots; return the names of the plots."""
    for name, rows_of in {"rates": rows_of_rates, "growth": rows_of_growth}.items():
        write_table(folder / f"{name}.csv", flat([row for of in results for row in rows_of(of)]))
    drawn = plots.of_results(results)
    (folder / "plots").mkdir(exist_ok=True)
    for name, svg in drawn.items():
        write_text(folder / "plots" / f"{name}.svg", svg)
    return list(drawn)


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))
@click.option("--params", default=PARAMS, show_default=True, type=Path, help="The entries.")
@click.option("--reports", default=FOLDER, show_default=True, type=Path, help="What was measured.")
@click.option("--page", "target", default=PAGE, show_default=True, type=Path, help="A file.")
def main(params: Path, reports: Path, target: Path) -> None:
    try:
        entries = read_yaml(params)["entries"]
        read = {entry: read_result(reports, entry) for entry in entries}
    except UserError as error:
        raise click.ClickException(str(error)) from None
    results = {entry: result for entry, result in read.items() if result}
    there = list(results.values())
    drawn = write_reports(reports, there) if there else []
    seen = Path(os.path.relpath(reports, target.parent)).as_posix()
    write_text(target, page(entries, results, seen, drawn))
    lacking = [entry for entry in entries if entry not in results]
    print(f"{target}: {len(results)} of {len(entries)} entries")
    if lacking:
        print(f"not measured: {', '.join(lacking)}")


if __name__ == "__main__":
    main()
