"""What MLflow should hold of a variant, as its outputs imply it; nothing here knows MLflow.

Training logs the opening (params, tags) and one epoch after another; everything else, and
all of it again where the database has lost it, comes from the files of the study.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from unroll.evaluation.evaluation import SAMPLES
from unroll.evaluation.scores import is_scored, scores_of, summary
from unroll.options import resolved
from unroll.runs.circumstances import (
    Circumstances,
    EpochTiming,
    Source,
    circumstances_of,
    read_diff,
)
from unroll.runs.imported import FILE, OF_MODEL, SHA256, origin_of
from unroll.runs.record import DOCUMENTS, Record, seed_folder
from unroll.runs.subject import Subject
from unroll.runs.trained import trained
from unroll.storage.files import read_text
from unroll.storage.folders import check_folder
from unroll.study import ROOT_STUDY, Study
from unroll.tracking import lineage
from unroll.tracking.descriptions import describe_run, way_back

KEY = "unroll.key"
DESCRIPTION = "mlflow.note.content"
NOTE = "unroll.note"  # a digest of the description that we wrote: another is people's own
NAME = "_variant"  # the param that names lines: MLflow takes the first ones of the alphabet


@dataclass(frozen=True, order=True)
class Point:
    """A value of a metric; the time is milliseconds since 1970."""

    metric: str
    step: int
    value: float
    time: int


@dataclass
class RunState:
    """A run as it should be; times are milliseconds since 1970."""

    key: str
    name: str
    params: dict[str, str]
    tags: dict[str, str]
    started: int | None = None
    ended: int | None = None
    points: list[Point] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    data: lineage.Data | None = None

    def digest(self) -> str:
        """Return a digest of all of it."""
        parts = asdict(self) | {"files": {n: _sha256(c) for n, c in sorted(self.files.items())}}
        return _sha256(json.dumps(parts, sort_keys=True).encode())


@dataclass
class VariantState:
    """A variant's parent run and the run of each seed."""

    subject: Subject
    parent: RunState
    children: dict[int, RunState]

    @property
    def experiment(self) -> str:
        """The name of the experiment that they belong to."""
        return experiment_name(self.subject.study, self.subject.options.task)


def experiment_name(study: str, task: str) -> str:
    """Return the task, with the study before it where that is not the root."""
    return task if study == ROOT_STUDY else f"{study}-{task}"


def opening(subject: Subject, source: Source, seeds: Sequence[int]) -> VariantState:
    """Return what is known when the training of these seeds starts."""
    children = {seed: _open(subject, source, seed) for seed in seeds}
    return VariantState(subject, _open(subject, source, None), children)


def _open(subject: Subject, source: Source, seed: int | None) -> RunState:
    options = {k: v for k, v in resolved(subject.options).items() if k != "seeds"}
    options[NAME] = subject.variant
    tags = {
        KEY: subject.key(seed),
        "unroll.level": "variant" if seed is None else "seed",
        "study": subject.study,
        "task": subject.options.task,
        "variant": subject.variant,
        "data.digest": subject.data_digest,
        "plan.digest": subject.plan,
        "sources.digest": source.sources[-1],
        **{f"environment.{name}": str(value) for name, value in subject.machine.items()},
        **_source_tags(source),
    }
    if seed is None:
        name, options["seeds"] = subject.variant, subject.options.seeds
    else:
        name, options["seed"] = f"{subject.variant} seed {seed}", seed
        tags["seed"] = str(seed)
    return RunState(subject.key(seed), name, {k: str(v) for k, v in options.items()}, tags)


def _source_tags(source: Source) -> dict[str, str]:
    tags = {"mlflow.source.name": source.command, "mlflow.source.type": "LOCAL"}
    named = {"dvc.stage": source.stage, "dvc.experiment": source.experiment}
    tags |= {name: value for name, value in named.items() if value is not None}
    if source.commit is not None:
        tags |= {"mlflow.source.git.commit": source.commit, "git.dirty": str(source.dirty).lower()}
    return tags


def in_sections(score: str) -> str:
    """Return a score's name in MLflow: what is before the slash is a section of charts there.

    Sections stand in the order of the alphabet: test, train, valid, and work (what it took).
    """
    return score.replace("_", "/", 1)


def epoch_points(row: Mapping[Any, float], timing: EpochTiming) -> list[Point]:
    """Return the points of an epoch: its row of the history, seconds, load of the machine."""
    values = {
        in_sections(str(name)): float(value)
        for name, value in sorted(row.items(), key=lambda item: item[0] == "train_loss")
        if name != "epoch"
    }
    values |= {
        "work/train_seconds": timing.train_seconds,
        "work/valid_seconds": timing.valid_seconds,
        # MLflow shows what is named so on a page of its own.
        "system/cpu_utilization_percentage": timing.cpu_percent,
        "system/system_memory_usage_megabytes": timing.memory_mb,
    }
    time = _milliseconds(timing.ended)
    return [Point(name, timing.epoch, value, time) for name, value in values.items()]


def desired(study: Study, variant: str) -> VariantState:
    """Return what MLflow should hold of a trained variant.

    Scores and samples are part of it as soon as they are there.

    Raises:
        DataError: the variant is not trained, or one of its files is damaged.
    """
    records = trained(study, variant)
    with study.remedy(f"train@{variant}"):
        found = circumstances_of(study.circumstances(variant), records)
    first = records[0]
    state = _opening_of(first.subject, found)
    for record in records:
        child, folder = state.children[record.seed], seed_folder(study.model(variant), record.seed)
        _add_training(child, record, found[record.seed])
        child.files |= {name: (folder / name).read_bytes() for name in DOCUMENTS}
        child.tags |= {f"environment.{name}": str(v) for name, v in record.environment.items()}
    scored = is_scored(study, variant, records)  # else there may be what is of an earlier training
    _add_means(state.parent, [state.children[record.seed] for record in records], scored)
    parts = _parts(scores_of(study, variant, records)) if scored else {}
    samples = _samples(study, state) if scored else {}
    for which, run in _runs(state):
        run.params["parameters"] = str(first.parameters)
        _add_scores(run, parts.get(which, {}), first)
    _add_texts(study, state, parts, samples, found, first)
    if origin := origin_of(first):
        for _, run in _runs(state):
            _leave_unknown(run, origin)
    return state


def _leave_unknown(run: RunState, origin: Mapping[str, str]) -> None:
    """Leave out what is not known of a model that was trained elsewhere; say where it is from."""
    known = OF_MODEL | {NAME, "parameters", "seed", "seeds"}
    run.params = {name: value for name, value in run.params.items() if name in known}
    run.points = [p for p in run.points if not p.metric.startswith(("work/", "system/"))]
    for tag in ("plan.digest", f"environment.{FILE}", f"environment.{SHA256}"):
        run.tags.pop(tag, None)
    run.tags |= origin


def _opening_of(subject: Subject, found: Mapping[int, Circumstances]) -> VariantState:
    """Return the openings of runs that have ended: each as it began, the parent's as the last."""
    last = max(found.values(), key=lambda of: of.session.started)
    state = opening(subject, last.source, [])
    state.children = {seed: _open(subject, of.source, seed) for seed, of in found.items()}
    return state


def _runs(state: VariantState) -> list[tuple[int | None, RunState]]:
    return [(None, state.parent), *state.children.items()]


def _add_training(run: RunState, record: Record, found: Circumstances) -> None:
    """Add the history of a seed, its times and its size."""
    timings = {
        int(row["epoch"]): EpochTiming(**{str(name): value for name, value in row.items()})
        for row in found.epochs.to_dict("records")
    }
    for row in record.history.to_dict("records"):
        run.points += epoch_points(row, timings[int(row["epoch"])])
    session = found.session
    run.started, run.ended = _milliseconds(session.started), _milliseconds(session.ended)
    last: dict[str, float] = {
        "work/training_seconds": round(found.seconds, 3),
        "work/worker_peak_memory_megabytes": session.peak_memory_mb,
    }
    run.points += _at_the_end(run, last)


def _add_means(parent: RunState, runs: list[RunState], scored: bool) -> None:
    """Add the mean of the seeds at each epoch; the time is that of the last of them.

    They come with the scores: the metric that decides is to be the first that MLflow meets. The
    load of the machine is left out: a mean of seeds that ran at other times says nothing.
    """
    parent.started = min(run.started or 0 for run in runs)
    parent.ended = max(run.ended or 0 for run in runs)
    if not scored:
        return
    points = pd.DataFrame(
        [asdict(p) for run in runs for p in run.points if not p.metric.startswith("system/")]
    )
    means = points.groupby(["metric", "step"]).agg({"value": "mean", "time": "max"}).reset_index()
    parent.points += [
        Point(str(row["metric"]), int(row["step"]), float(row["value"]), int(row["time"]))
        for row in means.to_dict("records")
    ]


def _add_scores(run: RunState, scores: Mapping[str, tuple[float, float]], record: Record) -> None:
    """Add final metrics: those of a seed, or means and standard deviations of all seeds."""
    values = {in_sections(name): mean for name, (mean, _) in scores.items()}
    values |= {f"{in_sections(name)}_std": std for name, (_, std) in scores.items() if std == std}
    run.points += _at_the_end(run, values)
    # MLflow compares runs by the metric that it has met first.
    run.points.sort(key=lambda point: point.metric != in_sections(record.kind.deciding))


def _at_the_end(run: RunState, values: Mapping[str, float]) -> list[Point]:
    """Return what a run ends with: at step 0, where MLflow draws a bar and not a curve."""
    known = {point.metric for point in run.points}
    assert run.ended is not None
    return [
        Point(name, 0, float(value), run.ended)
        for name, value in values.items()
        if name not in known  # validation has a curve
    ]


def _parts(scores: pd.DataFrame) -> dict[int | None, dict[str, tuple[float, float]]]:
    """Return mean and standard deviation of each metric, for each seed and (None) for all."""
    nan = float("nan")
    parts: dict[int | None, dict[str, tuple[float, float]]] = {None: summary(scores)}
    for seed, rows in scores.groupby("seed"):
        values = zip(rows["metric"], rows["value"], strict=True)
        parts[int(str(seed))] = {str(name): (float(value), nan) for name, value in values}
    return parts


def _add_texts(
    study: Study,
    state: VariantState,
    scores: Mapping[int | None, Mapping[str, tuple[float, float]]],
    samples: Mapping[int | None, str],
    found: Mapping[int, Circumstances],
    record: Record,
) -> None:
    """Add samples, lineage and a description to every run."""
    subject, variant = state.subject, state.subject.variant
    origin = lineage.origin(study, variant)
    last = max(found, key=lambda seed: found[seed].session.started)
    for seed, run in _runs(state):
        text, begun = samples.get(seed, ""), last if seed is None else seed
        run.data, run.tags = origin.data, run.tags | origin.tags
        run.files |= origin.files
        if text:
            run.files[SAMPLES] = text.encode()
        with study.remedy(f"train@{variant}"):
            diff = read_diff(seed_folder(study.circumstances(variant), begun))
        if diff:
            run.files["uncommitted.diff"] = diff
        note = describe_run(
            record.kind, subject, seed, scores.get(seed, {}), record.parameters, text
        )
        if elsewhere := origin_of(record):
            note += f"\n\nImported from {elsewhere['imported.file']}: its training is not known."
        if origin.files:
            note += "\n\n" + way_back(study, study.model(variant), found[begun].source)
        run.tags |= {DESCRIPTION: note, NOTE: digest_of(note)}


def _samples(study: Study, state: VariantState) -> dict[int | None, str]:
    """Return what is there of sample answers (of each seed) or texts (of the best seed)."""
    variant = state.subject.variant
    written = study.generated(variant)
    with study.remedy(f"generate@{variant}"):
        if written.is_dir():
            check_folder(written)
    paths: dict[int | None, Path] = {
        None: written / SAMPLES,
        **{seed: seed_folder(study.evaluation(variant), seed) / SAMPLES for seed in state.children},
    }
    samples = {seed: read_text(path) for seed, path in paths.items() if path.is_file()}
    first = next(iter(samples.values()), "")
    return {None: first, **samples}


def digest_of(text: str) -> str:
    """Return a short digest of a description."""
    return _sha256(text.encode())[:16]


def _milliseconds(seconds: float) -> int:
    return round(1000 * float(seconds))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
