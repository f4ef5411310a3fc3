"""Stage report: all variants of a study side by side."""

from pathlib import Path

import pandas as pd

from unroll.circumstances import read_circumstances
from unroll.config import Study
from unroll.data.files import read_text, replaced_folder, write_text
from unroll.errors import DataError, first_line
from unroll.evaluation.items import read_items
from unroll.evaluation.scores import read_scores
from unroll.record import read_record, seed_folders
from unroll.reporting.check import DIFFERS, MISSING, committed, differences
from unroll.reporting.comparison import Result, compare, curves, judge, markdown, write_table
from unroll.reporting.figures import learning_curves
from unroll.reporting.readme import rewrite


def report(study: Study) -> None:
    """Write the comparison as CSV and Markdown, and learning curves per task."""
    results = {variant: _result(study, variant) for variant in study.variants}
    verdicts = judge(study, results)
    table = compare(study, results, verdicts)
    write_table(study.reports / "comparison.csv", table)
    write_table(study.reports / "verdicts.csv", verdicts)
    seeds = pd.concat(result.scores.assign(variant=v) for v, result in results.items())
    write_table(study.reports / "seeds.csv", seeds[["variant", "seed", "metric", "value"]])
    _copy_samples(study)
    sections = []
    for task in study.tasks:
        records = {v: r.records for v, r in results.items() if study.variants[v].task == task}
        if not records:
            continue
        figure = study.reports / "curves" / f"{task}.svg"
        learning_curves(records, task, figure)
        write_table(figure.with_suffix(".csv"), curves(records))
        rows = markdown(table[table["task"] == task], study.comparison.confidence)
        sections.append(f"## {task}\n\n{rows}")
    text = "\n".join(sections)
    write_text(study.reports / "comparison.md", text)
    print(text)


def rewrite_readme() -> None:
    """Put the results of reports/ into the README."""
    print("README.md: written anew" if rewrite(Path("README.md")) else "README.md: as reports/")


def check(study: Study) -> None:
    """Print every result beside the committed one.

    Raises:
        DataError: a result differs by more than seeds explain, or is missing.
    """
    path = study.reports / "comparison.csv"
    try:
        fresh = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({first_line(error)})") from None
    table = differences(fresh, committed(path), study.comparison.confidence)
    print(table.to_string(index=False, float_format="{:.4g}".format))
    wrong = table[table["verdict"].isin([DIFFERS, MISSING])]
    if len(wrong):
        raise DataError(f"{len(wrong)} of {len(table)} results are not as committed")


def _result(study: Study, variant: str) -> Result:
    """Read what training and evaluation of a variant have left."""
    trained = study.remedy(f"train@{variant}")
    evaluated = study.remedy(f"evaluate@{variant}")
    records = [read_record(f, trained) for f in seed_folders(study.model(variant), trained)]
    folder = study.evaluation(variant)
    scores = read_scores(folder, evaluated)
    items = [read_items(folder / f"seed-{record.seed}", evaluated) for record in records]
    runs = read_circumstances(study.circumstances(variant), trained).runs
    return Result(records, scores, items, float((runs["ended"] - runs["started"]).mean()))


def _copy_samples(study: Study) -> None:
    """Put what each variant answered or wrote where readers look for results."""
    with replaced_folder(study.reports / "samples") as folder:
        for variant, options in study.variants.items():
            if options.kind == "pairs":
                source = study.evaluation(variant) / f"seed-{options.seeds[0]}" / "samples.txt"
            else:
                source = study.generated(variant)
            if source.is_file():
                write_text(folder / f"{variant}.txt", read_text(source))
