"""reports/report.html: a study on one page that needs nothing beside itself."""

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from ruamel.yaml import YAML

from unroll.config import PairsOptions, Study
from unroll.evaluation.breakdown import FIRST_WRONG, MISTAKE
from unroll.evaluation.scores import show
from unroll.generation.answering import answer_as_text
from unroll.generation.novelty import TEST_SPLIT
from unroll.record import Record
from unroll.reporting import figures, words
from unroll.reporting.breakdowns import numbers
from unroll.reporting.comparison import dicts
from unroll.reporting.curves import measured
from unroll.reporting.results import Result, is_perplexity, main_metric

SHOWN = 6  # of the most frequent mistakes

# What is measured where it is not the metric that decides.
MEASURES = {FIRST_WRONG: "right at this symbol"}

Row = tuple[str, ...]  # of a table, as it is shown

# What the horizontal axis of a property's picture says.
PROPERTIES = {
    "answer length": "symbols of the expected answer",
    "operand lengths": "digits of both operands",
    "carries": "carries in the sum",
    FIRST_WRONG: "symbol of the answer, where all before it are right",
    "confidence": "",
    "times in train": "times that the word stands in train",
    "position in sentence": "position of the word in its sentence",
}


@dataclass(frozen=True)
class Picture:
    """A picture with what it says, for those who cannot see it."""

    svg: str
    alt: str
    caption: str = ""

    @property
    def address(self) -> str:
        """The picture as an address that holds it."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode()


@dataclass(frozen=True)
class TaskTables:
    """What is known of one task: a result for each variant, and tables over them."""

    name: str
    results: Mapping[str, Result]
    comparison: pd.DataFrame
    verdicts: pd.DataFrame
    curves: pd.DataFrame
    breakdown: pd.DataFrame
    novelty: Mapping[str, pd.DataFrame]  # of language models (generation/novelty.py)
    counts: Mapping[str, int]  # of pairs or tokens, of each split


def page(study: Study, tasks: list[TaskTables]) -> str:
    """Return the report as HTML."""
    environment = Environment(
        loader=PackageLoader("unroll.reporting", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    template = environment.get_template("page.html")
    return template.render(
        study=study.name,
        confidence=f"{100 * study.comparison.confidence:g}",
        resamples=f"{study.comparison.resamples:,}",
        tasks=[_task(tables) for tables in tasks],
        reports=study.reports.as_posix(),
        environment=_environment(tasks),
        repro="dvc repro" if study.name == "root" else f"dvc repro pipeline/{study.name}/dvc.yaml",
        stage_prefix="" if study.name == "root" else f"pipeline/{study.name}/dvc.yaml:",
    )


def _task(tables: TaskTables) -> dict[str, Any]:
    main = main_metric(tables.comparison["metric"])
    decisive = tables.verdicts[tables.verdicts["metric"] == main]
    return {
        "name": tables.name,
        "metric": words.title(main),
        "less_is_better": is_perplexity(main),
        "ranking": _ranking(tables, main),
        "ahead": _ahead(tables, main),
        "sentences": words.sentences(tables.verdicts, main),
        "verdicts": [_verdict(row) for row in dicts(decisive)],
        "curves": _learning(tables),
        "why": _costs(tables, main),
        "failures": _failures(tables, main),
        "mistakes": _mistakes(tables),
        "attention": _attention(tables),
        "novelty": _novelty(tables),
        "samples": {v: r.samples for v, r in tables.results.items() if r.samples},
        "provenance": [_provenance(v, r) for v, r in tables.results.items()],
        "counts": ", ".join(f"{split} {count:,}" for split, count in tables.counts.items()),
        "options": _options(tables.results),
    }


def _ranking(tables: TaskTables, main: str) -> list[Row]:
    return [
        (
            row["variant"],
            words.show_interval(main, row),
            words.show_spread(main, row["std"]),
            words.in_words(row),
            f"{row['parameters']:,}",
            str(row["seeds"]),
            f"{row['seconds']:.0f}",
        )
        for row in dicts(words.ranked(tables.comparison))
    ]


def _ahead(tables: TaskTables, main: str) -> str:
    best = dicts(words.ranked(tables.comparison))[0]
    side = "Lowest" if is_perplexity(main) else "Highest"
    return f"{side} mean: {best['variant']}, {words.show_interval(main, best)}."


def _verdict(row: Mapping[str, Any]) -> Row:
    def number(name: str, form: str) -> str:
        return "–" if pd.isna(row[name]) else format(row[name], form)

    return (
        row["variant"],
        row["reference"],
        words.show_difference(row),
        number("superiority", ".2f"),
        number("p_value", ".2g"),
        number("p_corrected", ".2g"),
        row["verdict"],
    )


def _learning(tables: TaskTables) -> Picture:
    metric = measured(tables.curves)
    last = tables.curves.groupby("variant", sort=False)[metric].last()
    ends = ", ".join(f"{v} {_mean(metric, value)}" for v, value in last.items())
    return Picture(
        figures.learning_curves(tables.curves, metric),
        f"Learning curves, {words.title(metric)} after the last epoch: {ends}.",
        "After each epoch, on the validation split: mean of the seeds, the band from the worst "
        "to the best.",
    )


def _costs(tables: TaskTables, main: str) -> list[Picture]:
    metric, name = measured(tables.curves), words.title(main)
    pairs = not is_perplexity(main)
    unit = "questions" if pairs else "words"
    rows = dicts(tables.comparison[tables.comparison["metric"] == main])
    listed = ", ".join(
        f"{r['variant']} {r['parameters']:,}: {words.show_interval(main, r)}" for r in rows
    )
    curves = tables.curves.groupby("variant", sort=False)
    seconds = ", ".join(f"{v} {s:.0f} s" for v, s in curves["seconds"].last().items())
    seen = ", ".join(f"{v} {s:,}" for v, s in curves["examples"].last().items())
    return [
        Picture(
            figures.against_parameters(rows, main),
            f"{name} by number of parameters. {listed}.",
            "Against parameters: the interval of each variant.",
        ),
        Picture(
            figures.curves_against(tables.curves, metric, "seconds", "seconds of training"),
            f"{words.title(metric)} by seconds of training of one seed; in all {seconds}.",
            "Against seconds of training (without scoring), as this machine took them.",
        ),
        Picture(
            figures.curves_against(tables.curves, metric, "examples", f"{unit} seen"),
            f"{words.title(metric)} by {unit} seen in training; in all {seen}.",
            f"Against {unit} seen, repeated ones counted each time.",
        ),
    ]


def _failures(tables: TaskTables, main: str) -> list[dict[str, Any]]:
    found = []
    for name, table in tables.breakdown.groupby("property", sort=False):
        if name == MISTAKE or table["value"].nunique() == 1:
            continue
        label = PROPERTIES.get(str(name), str(name))
        values = sorted(table["value"].unique(), key=numbers)
        measure = MEASURES.get(str(name), words.title(main))
        calibrated = name == "confidence"
        svg = (
            figures.calibration(table)
            if calibrated
            else figures.by_class(table, main, values, label, measure)
        )
        found.append(
            {
                "name": "calibration" if calibrated else name,
                "picture": Picture(svg, _spoken(table, main, measure, str(name))),
                "values": values,
                "rows": _cells(table, main, values),
            }
        )
    return found


def _cells(table: pd.DataFrame, main: str, values: list[str]) -> list[Row]:
    rows = []
    for variant, of_variant in table.groupby("variant", sort=False):
        means = of_variant.set_index("value")["mean"]
        shown = (_mean(main, means[value]) if value in means else "–" for value in values)
        rows.append((str(variant), *shown))
    return rows


def _mean(metric: str, value: float) -> str:
    return show(metric, value, math.nan)


def _spoken(table: pd.DataFrame, main: str, measure: str, name: str) -> str:
    """Return a picture of classes in words: each variant at its first and its last class."""
    ends = []
    for variant, rows in table.groupby("variant", sort=False):
        first, last = (
            f"{rows['value'].iloc[i]}: {_mean(main, rows['mean'].iloc[i])}" for i in (0, -1)
        )
        ends.append(f"{variant} from {first} to {last}")
    return f"{measure} by {name}. " + "; ".join(ends) + "."


def _mistakes(tables: TaskTables) -> list[Row]:
    table = tables.breakdown[tables.breakdown["property"] == MISTAKE]
    return [
        (
            str(variant),
            ", ".join(f"{row['value']} ({row['mean']:.1%})" for row in dicts(rows.head(SHOWN))),
        )
        for variant, rows in table.groupby("variant", sort=False)
    ]


def _attention(tables: TaskTables) -> dict[str, list[Picture]]:
    """Return the maps of each attention variant's best seed."""
    found = {}
    for variant, result in tables.results.items():
        if not result.attention:
            continue
        scores = result.scores[result.scores["metric"] == "valid_exact_match"]["value"].tolist()
        best = scores.index(max(scores))
        found[f"{variant}, seed {result.seeds[best]}"] = _maps(
            result.attention[best], result.records[best]
        )
    return found


def _maps(maps: Mapping[str, Any], record: Record) -> list[Picture]:
    assert isinstance(record.options, PairsOptions)
    option, vocabulary, pictures = record.options.padding, record.vocabulary, []
    for i in range(len(maps["right"])):
        question = "".join(vocabulary.decode(maps["sources"][i].tolist()))
        ids = maps["answers"][i].tolist()
        # With masked padding, what comes after the blank that ends an answer was never trained.
        end = len(answer_as_text(ids, vocabulary, option)) + 1 if option == "masked" else len(ids)
        answer = "".join(vocabulary.decode(ids))[:end]
        shown = maps["weights"][i][:end]
        mark = "right" if maps["right"][i] else "wrong"
        spoken = f"{question.strip()} = {answer.strip()}"
        peaks = ", ".join(
            f"{a} at {question[weights.argmax()]!r} ({weights.max():.0%})"
            for a, weights in zip(answer, shown, strict=True)
            if a != " "
        )
        pictures.append(
            Picture(
                figures.attention_map(shown, question, answer, spoken),
                f"Attention map of {spoken} ({mark}). It looks most, symbol by symbol: {peaks}.",
                mark,
            )
        )
    return pictures


def _novelty(tables: TaskTables) -> list[Row]:
    """Return the shares of each variant's samples, and once those of the test split."""
    rows: dict[str, Row] = {}
    for variant, table in tables.novelty.items():
        for text, of_text in table.groupby("text", sort=False):
            name = str(text) if text == TEST_SPLIT else f"{text} of {variant}"
            rows[name] = (
                name,
                *("–" if math.isnan(s) else f"{s:.0%}" for s in of_text["in_train"]),
            )
    return sorted(rows.values(), key=lambda row: row[0] == TEST_SPLIT)


def _provenance(variant: str, result: Result) -> Row:
    subject, source = result.records[0].subject, result.circumstances.source
    runs = result.circumstances.runs
    return (
        variant,
        subject.key(),
        (source.commit or "no git")[:12] + (" + changes" if source.dirty else ""),
        subject.data_digest[:12],
        f"{result.circumstances.seconds.sum():.0f}",
        f"{runs['peak_memory_mb'].max():.0f}",
        source.command,
    )


def _options(results: Mapping[str, Result]) -> str:
    """Return what variants have in common and what each has for itself, as YAML."""
    of = {v: r.records[0].options.model_dump(mode="json") for v, r in results.items()}
    first = next(iter(of.values()))
    common = {k: first[k] for k in first if all(options[k] == first[k] for options in of.values())}
    own = {v: {k: x for k, x in options.items() if k not in common} for v, options in of.items()}
    text = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.dump({"all variants": common, **own}, text)
    return text.getvalue()


def _environment(tasks: list[TaskTables]) -> list[Row]:
    """Return what the runs were computed with; where they differ, all of it."""
    found: dict[str, dict[str, None]] = {}
    for tables in tasks:
        for result in tables.results.values():
            for name, value in result.records[0].subject.environment.items():
                found.setdefault(name, {})[str(value)] = None
    return [(name, " or ".join(values)) for name, values in found.items()]
