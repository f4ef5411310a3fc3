"""Stage report: all variants of a study side by side."""

import pandas as pd

from unroll.config import Study
from unroll.data.files import read_text, replaced_folder, write_text
from unroll.evaluation.scores import read_scores
from unroll.record import Record, read_record, seed_folders
from unroll.reporting.comparison import compare, curves, markdown, write_table
from unroll.reporting.figures import learning_curves


def report(study: Study) -> None:
    """Write the comparison as CSV and Markdown, and learning curves per task."""
    records = {variant: _records(study, variant) for variant in study.variants}
    scores = {
        variant: read_scores(study.evaluation(variant), study.remedy(f"evaluate@{variant}"))
        for variant in study.variants
    }
    table = compare(study, scores, records)
    _copy_samples(study)
    seeds = pd.concat(rows.assign(variant=variant) for variant, rows in scores.items())
    write_table(study.reports / "seeds.csv", seeds[["variant", "seed", "metric", "value"]])
    write_table(study.reports / "comparison.csv", table)
    sections = []
    for task in study.tasks:
        of_task = {v: r for v, r in records.items() if study.variants[v].task == task}
        if not of_task:
            continue
        figure = study.reports / "curves" / f"{task}.svg"
        learning_curves(of_task, task, figure)
        write_table(figure.with_suffix(".csv"), curves(of_task))
        sections.append(f"## {task}\n\n{markdown(table[table['task'] == task])}")
    text = "\n".join(sections)
    write_text(study.reports / "comparison.md", text)
    print(text)


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


def _records(study: Study, variant: str) -> list[Record]:
    remedy = study.remedy(f"train@{variant}")
    return [read_record(folder, remedy) for folder in seed_folders(study.model(variant), remedy)]
