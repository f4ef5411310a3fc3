"""Stage report: all variants of a study side by side."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from unroll.errors import DataError
from unroll.reporting import comparison, figures
from unroll.reporting.breakdowns import together
from unroll.reporting.check import COMPARED, DIFFERS, MISSING, UNTESTED, committed, differences
from unroll.reporting.comparison import VERDICTS, compare, judge
from unroll.reporting.curves import curves
from unroll.reporting.factors import design, effects_of, learned
from unroll.reporting.page import TaskTables, page
from unroll.reporting.readme import rewrite
from unroll.reporting.results import Result, read_result
from unroll.reporting.words import markdown, of_factors
from unroll.storage.files import write_text
from unroll.storage.folders import replaced_folder
from unroll.storage.tables import read_table, write_table
from unroll.study import Study


def report(study: Study) -> None:
    """Write the comparison as CSV, Markdown and a page, and learning curves per task."""
    results = {variant: read_result(study, variant) for variant in study.variants}
    verdicts = judge(study, results)
    table = compare(study, results, verdicts)
    tasks = [
        _task_tables(study, task, results, table, verdicts)
        for task in study.tasks
        if study.variants_of(task)
    ]
    seeds = pd.concat(result.scores.assign(variant=v) for v, result in results.items())
    breakdown = pd.concat([tables.breakdown.assign(task=tables.name) for tables in tasks])
    write_table(study.reports / "comparison.csv", table)
    effects = [tables.effects[VERDICTS] for tables in tasks if len(tables.effects)]
    write_table(study.reports / "verdicts.csv", pd.concat([verdicts, *effects]))
    write_table(study.reports / "seeds.csv", seeds[["variant", "seed", "metric", "value"]])
    columns = ["task", *breakdown.columns.drop("task")]
    write_table(study.reports / "breakdown.csv", breakdown[columns])
    with replaced_folder(study.reports / "samples") as folder:
        for variant, result in results.items():
            if result.samples:
                write_text(folder / f"{variant}.txt", result.samples)
    for tables in tasks:
        _write_curves(study.reports / "curves", tables)
    write_text(study.reports / "report.html", page(study, tasks))
    sections = [
        f"## {t.name}\n\n"
        + markdown(t.kind, t.comparison, t.verdicts, study.comparison, t.options)
        + of_factors(t.kind.main, t.effects)
        for t in tasks
    ]
    text = "\n".join(sections)
    write_text(study.reports / "comparison.md", text)
    print(f"{text}\n{study.reports}/report.html: all of it, with pictures")


def _task_tables(
    study: Study,
    task: str,
    results: Mapping[str, Result],
    table: pd.DataFrame,
    verdicts: pd.DataFrame,
) -> TaskTables:
    of_task = {v: r for v, r in results.items() if study.variants[v].task == task}
    first = next(iter(of_task.values()))
    found = design(study.comparison.factors, of_task, first.kind.deciding)
    return TaskTables(
        name=task,
        results=of_task,
        comparison=table[table["task"] == task],
        verdicts=verdicts[verdicts["task"] == task],
        curves=curves(of_task, first.counts["train"]),
        breakdown=together(of_task),
        effects=effects_of(task, first.kind, found, study.comparison.confidence),
        learned=learned(first.kind, found),
    )


def _write_curves(folder: Path, tables: TaskTables) -> None:
    """Write learning curves as a picture and a table; without seconds, which no two runs share."""
    picture = figures.learning_curves(tables.curves, tables.kind.main, tables.name)
    write_text(folder / f"{tables.name}.svg", picture)
    write_table(folder / f"{tables.name}.csv", tables.curves.drop(columns="seconds"))


def rewrite_readme(study: Study) -> None:
    """Put the results of a study into the README.md beside its params file.

    Raises:
        DataError: there is none, or it has no place for results.
    """
    readme = study.params_file.parent / "README.md"
    print(f"{readme}: {'written anew' if rewrite(readme) else f'as {study.reports}/'}")


def check(study: Study) -> None:
    """Print every result beside the committed one.

    Raises:
        DataError: a result differs by more than seeds explain, or is missing.
    """
    path = study.reports / "comparison.csv"
    with study.remedy("report"):
        fresh = read_table(path, comparison.COLUMNS, COMPARED)
    table = differences(fresh, committed(path), study.comparison.confidence)
    print(table.to_string(index=False, float_format="{:.4g}".format))
    if untested := int((table["verdict"] == UNTESTED).sum()):
        print(f"{untested} results have one seed and differ: nothing can be said of them")
    wrong = table[table["verdict"].isin([DIFFERS, MISSING])]
    if len(wrong):
        raise DataError(f"{len(wrong)} of {len(table)} results are not as committed")
