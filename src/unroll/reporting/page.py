"""reports/report.html: a study on one page that needs nothing beside itself."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from unroll.data.pictures import from_text, picture_of
from unroll.data.properties import CROSS
from unroll.data.vocabulary import JOINER
from unroll.evaluation.breakdown import (
    ANSWER_LENGTH,
    CONFIDENCE,
    CONFUSION,
    FIRST_WRONG,
    MISTAKE,
)
from unroll.evaluation.maps import Map
from unroll.evaluation.modes import unseen
from unroll.evaluation.sheets import Shot
from unroll.generation.novelty import TEST_SPLIT
from unroll.kinds.kind import Kind
from unroll.metrics import Metric, Share
from unroll.options import Comparison, resolved
from unroll.reporting import figures, words
from unroll.reporting.breakdowns import numbers
from unroll.reporting.comparison import dicts
from unroll.reporting.inside import compared, sections
from unroll.reporting.parts import Picture, Row, Section, template
from unroll.reporting.results import Result
from unroll.study import Study

SHOWN = 6  # of the most frequent mistakes
FINE = 96  # width and height of a picture in the report
SMALLEST = 0.0001  # p-value that is written out: nothing is normal as far out as that

# What is measured where it is not the metric that decides.
MEASURES = {
    FIRST_WRONG: Metric("right_at_this_symbol", Share(), high=1.0),
    CONFUSION: Metric("answered_so", Share(), high=1.0),
}

# What the horizontal axis of a property's picture says, where the task does not say it.
AXES = {
    ANSWER_LENGTH: "symbols of the expected answer",
    FIRST_WRONG: "symbol of the answer, where all before it are right",
    CONFIDENCE: "probability that the model gives to its answer",
}


@dataclass(frozen=True)
class TaskTables:
    """What is known of one task: a result for each variant, and tables over them."""

    name: str
    results: Mapping[str, Result]
    comparison: pd.DataFrame
    verdicts: pd.DataFrame
    curves: pd.DataFrame
    breakdown: pd.DataFrame
    effects: pd.DataFrame  # of options (reporting/factors.py), where they are factors
    learned: pd.DataFrame

    @property
    def first(self) -> Result:
        """The result of the first variant: task and kind are the same for all."""
        return next(iter(self.results.values()))

    @property
    def kind(self) -> Kind[Any, Any]:
        """The kind of the models."""
        return self.first.kind

    @property
    def counts(self) -> Mapping[str, int]:
        """The examples of each split."""
        return self.first.counts

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """The options of each variant."""
        return {v: resolved(result.records[0].options) for v, result in self.results.items()}

    @property
    def axes(self) -> Mapping[str, str]:
        """What the horizontal axis of each property's picture says."""
        return {**AXES, **self.first.records[0].task.axes}


def page(study: Study, tasks: list[TaskTables]) -> str:
    """Return the report as HTML."""
    return template("page.html").render(
        study=study.name,
        confidence=f"{100 * study.comparison.confidence:g}",
        unseen=_unseen(tasks, study.comparison.confidence),
        tasks=[_task(tables, study.comparison) for tables in tasks],
        reports=study.reports.as_posix(),
        environment=_environment(tasks),
        repro=study.repro,
        rerun=lambda stage: study.rerun(stage).removeprefix("run: "),
    )


def _unseen(tasks: list[TaskTables], confidence: float) -> str:
    """Say how many seeds there can be of a kind that was not seen, by the number of seeds."""
    counts = sorted({int(seeds) for tables in tasks for seeds in tables.comparison["seeds"]})
    return ", ".join(
        f"at {count} seeds {words.percent(unseen(count, confidence))}" for count in counts
    )


def _task(tables: TaskTables, comparison: Comparison) -> dict[str, Any]:
    kind = tables.kind
    decisive = tables.verdicts[tables.verdicts["metric"] == kind.deciding]
    beside = words.shown_beside(kind, tables.comparison)
    return {
        "name": tables.name,
        "metric": words.title(kind.deciding),
        "less_is_better": not kind.main.higher_is_better,
        "ranking": _ranking(tables),
        "beside": [words.title(score) for score in words.beside(kind, tables.comparison)],
        "shown_beside": [
            (row["variant"], *beside[row["variant"]])
            for row in dicts(words.ranked(kind, tables.comparison))
        ],
        "ahead": _ahead(tables),
        "answers": words.answers(kind, tables.verdicts, comparison),
        "sentences": words.sentences(kind, tables.verdicts, comparison),
        "verdicts": [_verdict(kind.main, row) for row in dicts(decisive)],
        "factors": _factors(tables),
        "curves": _learning(tables),
        "why": _costs(tables),
        "failures": _failures(tables),
        "grids": _grids(tables),
        "mistakes": _mistakes(tables),
        "attention": _attention(tables),
        "sheets": _sheets(tables),
        "novelty": _novelty(tables),
        "inside": _inside(tables),
        "samples": {v: r.samples for v, r in tables.results.items() if r.samples},
        "provenance": [_provenance(v, r) for v, r in tables.results.items()],
        "counts": ", ".join(f"{split} {count:,}" for split, count in tables.counts.items()),
        "notes": {
            metric.title: tables.first.notes[metric.name]
            for metric in tables.kind.metrics
            if metric.name in tables.first.notes
        },
        "settings": _settings(tables),
        "options": _options(tables.options),
    }


def _ranking(tables: TaskTables) -> list[Row]:
    metric, differences = tables.kind.main, words.differences(tables.options)
    return [
        (
            row["variant"],
            words.show_interval(metric, row),
            metric.show_spread(row["std"]),
            differences[row["variant"]],
            words.in_words(row),
            f"{row['parameters']:,}",
            str(row["seeds"]),
            f"{row['seconds']:.0f}",
        )
        for row in dicts(words.ranked(tables.kind, tables.comparison))
    ]


def _ahead(tables: TaskTables) -> str:
    best, metric = dicts(words.ranked(tables.kind, tables.comparison))[0], tables.kind.main
    side = "Highest" if metric.higher_is_better else "Lowest"
    return f"{side} mean: {best['variant']}, {words.show_interval(metric, best)}."


def _verdict(metric: Metric, row: Mapping[str, Any]) -> Row:
    def number(name: str, form: str, least: float = 0.0) -> str:
        if pd.isna(row[name]):
            return "–"
        return f"< {least:g}" if row[name] < least else format(row[name], form)

    return (
        row["variant"],
        row["reference"],
        words.show_difference(metric, row),
        number("superiority", ".2f"),
        number("p_value", ".2g", SMALLEST),
        number("p_corrected", ".2g", SMALLEST),
        row["verdict"],
    )


def _factors(tables: TaskTables) -> dict[str, Any]:
    """Return what options do that are factors; nothing where there are none."""
    if tables.effects.empty:
        return {}
    metric, rows = tables.kind.main, dicts(tables.effects)
    told = "; ".join(
        f"{row['variant']} against {row['reference']}: {words.show_difference(metric, row)}"
        for row in rows
    )
    return {
        "values": [
            (
                row["value"],
                metric.show(row["mean"]),
                "–" if pd.isna(row["learn"]) else f"{int(row['learn'])} of {row['runs']}",
            )
            for row in dicts(tables.learned)
        ],
        "effects": [_verdict(metric, row) for row in rows],
        "picture": Picture(
            figures.effects(rows, metric),
            f"What each option does, and how two change each other. {told}.",
            "The difference that each value makes, with its interval.",
        ),
    }


def _learning(tables: TaskTables) -> Picture:
    metric, score = tables.kind.main, tables.kind.choosing
    last = tables.curves.groupby("variant", sort=False)[score].last()
    ends = ", ".join(f"{v} {metric.show(value)}" for v, value in last.items())
    return Picture(
        figures.learning_curves(tables.curves, metric),
        f"Learning curves, {words.title(score)} after the last epoch: {ends}.",
        "After each epoch, on the validation split: mean of the seeds, the band from the worst "
        "to the best.",
    )


def _costs(tables: TaskTables) -> list[Picture]:
    kind, metric = tables.kind, tables.kind.main
    score, name = words.title(kind.choosing), words.title(kind.deciding)
    rows = dicts(tables.comparison[tables.comparison["metric"] == kind.deciding])
    listed = ", ".join(
        f"{r['variant']} {r['parameters']:,}: {words.show_interval(metric, r)}" for r in rows
    )
    curves = tables.curves.groupby("variant", sort=False)
    seconds = ", ".join(f"{v} {s:.0f} s" for v, s in curves["seconds"].last().items())
    seen = ", ".join(f"{v} {s:,}" for v, s in curves["examples"].last().items())
    return [
        Picture(
            figures.against_parameters(rows, metric),
            f"{name} by number of parameters. {listed}.",
            "Against parameters: the interval of each variant.",
        ),
        Picture(
            figures.curves_against(tables.curves, metric, "seconds", "seconds of training"),
            f"{score} by seconds of training of one seed; in all {seconds}.",
            "Against seconds of training (without scoring), as this machine took them.",
        ),
        Picture(
            figures.curves_against(tables.curves, metric, "examples", f"{kind.seen} seen"),
            f"{score} by {kind.seen} seen in training; in all {seen}.",
            f"Against {kind.seen} seen, repeated ones counted each time.",
        ),
    ]


def _failures(tables: TaskTables) -> list[dict[str, Any]]:
    found = []
    for name, table in tables.breakdown.groupby("property", sort=False):
        if name == MISTAKE or CROSS in str(name) or table["value"].nunique() == 1:
            continue
        label = tables.axes.get(str(name), str(name))
        values = sorted(table["value"].unique(), key=numbers)
        metric = MEASURES.get(str(name), tables.kind.main)
        measure = metric.title if name in MEASURES else words.title(tables.kind.deciding)
        calibrated = name == CONFIDENCE and isinstance(metric.scale, Share)
        svg = (
            figures.calibration(table, metric, label)
            if calibrated
            else figures.by_class(table, metric, values, label, measure)
        )
        found.append(
            {
                "name": "calibration" if calibrated else name,
                "picture": Picture(svg, _spoken(table, metric, measure, str(name))),
                "values": values,
                "rows": _cells(table, metric, values),
            }
        )
    return found


def _grids(tables: TaskTables) -> dict[str, list[Picture]]:
    """Return, by property of two, a picture of each variant."""
    crossed = tables.breakdown[[CROSS in str(name) for name in tables.breakdown["property"]]]
    return {
        _measure_by(str(name), tables): [
            _grid(str(variant), of_variant, str(name), tables)
            for variant, of_variant in table.groupby("variant", sort=False)
        ]
        for name, table in crossed.groupby("property", sort=False)
    }


def _measure_by(name: str, tables: TaskTables) -> str:
    measure = MEASURES[name].title if name in MEASURES else words.title(tables.kind.deciding)
    return f"{measure}, by {name.replace(CROSS, ' and ')}"


def _grid(variant: str, table: pd.DataFrame, name: str, tables: TaskTables) -> Picture:
    metric = MEASURES.get(name, tables.kind.main)
    axes = [tables.axes.get(axis, axis) for axis in name.split(CROSS)]
    cells = pd.DataFrame(
        [value.split(CROSS) for value in table["value"]], columns=["row", "column"]
    )
    cells["mean"] = table["mean"].to_numpy()
    grid = cells.pivot(index="row", columns="column", values="mean")
    grid = grid.sort_index(key=_natural).sort_index(axis=1, key=_natural)
    told = "; ".join(
        f"{value.replace(CROSS, ' and ')} {metric.show(mean)}"
        for value, mean in zip(table["value"], table["mean"], strict=True)
    )
    return Picture(
        figures.grid(grid, metric, axes[1], axes[0], variant),
        f"{_measure_by(name, tables)}, of {variant}: {told}.",
        variant,
    )


def _natural(labels: pd.Index) -> pd.Index:
    """Return labels as what they are sorted by: numbers as such, names by alphabet."""
    return pd.Index([(numbers(label), label) for label in labels], tupleize_cols=False)


def _cells(table: pd.DataFrame, metric: Metric, values: list[str]) -> list[Row]:
    rows = []
    for variant, of_variant in table.groupby("variant", sort=False):
        means = of_variant.set_index("value")["mean"]
        shown = (metric.show(means[value]) if value in means else "–" for value in values)
        rows.append((str(variant), *shown))
    return rows


def _spoken(table: pd.DataFrame, metric: Metric, measure: str, name: str) -> str:
    """Return a picture of classes in words: each variant at its first and its last class."""
    ends = []
    for variant, rows in table.groupby("variant", sort=False):
        first, last = (
            f"{rows['value'].iloc[i]}: {metric.show(rows['mean'].iloc[i])}" for i in (0, -1)
        )
        ends.append(f"{variant} from {first} to {last}")
    return f"{measure} by {name}. " + "; ".join(ends) + "."


def _mistakes(tables: TaskTables) -> list[Row]:
    table = tables.breakdown[tables.breakdown["property"] == MISTAKE]
    return [
        (
            str(variant),
            ", ".join(
                f"{row['value']} ({words.percent(row['mean'], 1)})"
                for row in dicts(rows.head(SHOWN))
            ),
        )
        for variant, rows in table.groupby("variant", sort=False)
    ]


def _attention(tables: TaskTables) -> dict[str, list[Picture]]:
    """Return the maps of each attention variant's best seed."""
    return {
        f"{variant}, seed {result.seeds[result.best]}": [_map(one) for one in maps]
        for variant, result in tables.results.items()
        if (maps := result.maps[result.best])
    }


def _map(found: Map) -> Picture:
    question, answer = found.texts()
    mark, spoken = "right" if found.right else "wrong", f"{question} = {answer}"
    weights = np.array(found.weights)
    read, written = ([s.strip(JOINER) for s in side] for side in (found.question, found.answer))
    peaks = ", ".join(
        f"{symbol} at {read[row.argmax()]!r} ({words.percent(row.max())})"
        for symbol, row in zip(written, weights, strict=True)
        if symbol.strip()
    )
    return Picture(
        figures.attention_map(weights, found.question, found.answer, spoken),
        f"Attention map of {spoken} ({mark}). It looks most, symbol by symbol: {peaks}.",
        mark,
    )


def _sheets(tables: TaskTables) -> dict[str, list[Picture]]:
    """Return the pictures of each variant's best seed, each word where it looked."""
    return {
        f"{variant}, seed {result.seeds[result.best]}": [_shot(one) for one in sheet]
        for variant, result in tables.results.items()
        if (sheet := result.sheets[result.best])
    }


def _shot(shot: Shot) -> Picture:
    mark = "right" if shot.right else "true" if shot.true else "wrong"
    right = "" if shot.right else f" In truth: {shot.references[0]}."
    return Picture(
        figures.looked_at(
            picture_of(from_text(shot.picture, "the sheet"), FINE, "the sheet"),
            [word.strip(JOINER) for word in shot.words],
            np.array(shot.weights),
        ),
        f"A picture of which was said: {shot.answer} ({mark}).{right}",
        f"{shot.answer} ({mark}).{right}",
    )


def _inside(tables: TaskTables) -> dict[str, list[Section]]:
    """Return what was found inside the best seed of each variant, and first of all of them."""
    found = {
        f"{variant}, seed {result.seeds[result.best]}": (result.records[result.best], inside)
        for variant, result in tables.results.items()
        if (inside := result.inside) is not None
    }
    each = {
        name: sections(record.options, inside)  # type: ignore[arg-type]
        for name, (record, inside) in found.items()
    }
    reach = {name: inside.trained for name, (_, inside) in found.items()}
    return {"": [compared(reach)], **each} if len(found) > 1 else each


def _novelty(tables: TaskTables) -> list[Row]:
    """Return the shares of each variant's samples, and once those of the test split."""
    rows: dict[str, Row] = {}
    for variant, result in tables.results.items():
        if (table := result.novelty) is None:
            continue
        for text, of_text in table.groupby("text", sort=False):
            name = str(text) if text == TEST_SPLIT else f"{text} of {variant}"
            rows[name] = (
                name,
                *("–" if math.isnan(s) else words.percent(s) for s in of_text["in_train"]),
            )
    return sorted(rows.values(), key=lambda row: row[0] == TEST_SPLIT)


def _provenance(variant: str, result: Result) -> Row:
    subject, found = result.records[0].subject, list(result.circumstances.values())
    source = max(found, key=lambda of: of.session.started).source
    return (
        variant,
        subject.key(),
        (source.commit or "no git")[:12] + (" + changes" if source.dirty else ""),
        subject.data_digest[:12],
        f"{sum(of.seconds for of in found):.0f}",
        f"{max(of.session.peak_memory_mb for of in found):.0f}",
        source.command,
    )


def _settings(tables: TaskTables) -> list[Row]:
    """Return what each method was tuned to, for the best seed of each variant."""
    return [
        (
            variant,
            metric.replace("_", " "),
            ", ".join(f"{name} {value:g}" for name, value in setting.items()) or "–",
        )
        for variant, result in tables.results.items()
        for metric, setting in result.settings.items()
    ]


def _options(of: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what variants have in common and what each has for itself, as YAML."""
    names = dict.fromkeys(name for options in of.values() for name in options)
    common = {
        name: next(iter(of.values()))[name]
        for name in names
        if all(name in options for options in of.values())
        and len({repr(options[name]) for options in of.values()}) == 1
    }
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
            for name, value in result.records[0].environment.items():
                found.setdefault(name, {})[str(value)] = None
    return [(name, " or ".join(values)) for name, values in found.items()]
