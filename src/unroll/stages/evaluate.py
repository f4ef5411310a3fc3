"""Stage evaluate: the trained seeds of a variant, scored on validation and test."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unroll.data.prepared import read_counts
from unroll.errors import DataError
from unroll.evaluation.evaluation import COUNTS, NOTES, SAMPLES, SETTINGS, Evaluation
from unroll.evaluation.items import write_items
from unroll.evaluation.looks import write_inside
from unroll.evaluation.maps import write_maps
from unroll.evaluation.scores import read_scores, summary, write_scores
from unroll.evaluation.sheets import write_sheet
from unroll.evaluation.tokens import write_tokens
from unroll.kinds.kind import Kind
from unroll.reporting.words import title
from unroll.runs.circumstances import circumstances_of, copy_circumstances
from unroll.runs.model import read_model
from unroll.runs.record import Record, best, seed_folder, write_documents
from unroll.runs.trained import trained
from unroll.stages.checkpoints import forget
from unroll.storage.files import write_json, write_text
from unroll.storage.folders import digest, new_folder
from unroll.storage.tables import write_table
from unroll.study import Study
from unroll.training.machine import choose


def evaluate(study: Study, variant: str) -> None:
    """Score a variant; write all that the report needs to know of it.

    Raises:
        DataError: the variant is not trained, not whole, or on other data than there are now.
    """
    kind, task = study.kind_of(variant), study.task_of(variant)
    prepared = study.prepared(study.variant(variant).task)
    with study.remedy(f"prepare@{study.variant(variant).task}"):
        data, counts = kind.load(prepared), read_counts(prepared)
    machine = choose(study.compute)
    machine.prepare_process()
    records = trained(study, variant)
    with study.remedy(f"train@{variant}"):
        circumstances_of(study.circumstances(variant), records)
        if records[0].subject.data_digest != digest(prepared):
            raise DataError(f"{variant} was trained on other data than {prepared}")
    forget(study, variant, records)
    chosen, found = best(records).seed, dict[int, Evaluation]()
    for record in records:
        with study.remedy(f"train@{variant}"):
            model = read_model(seed_folder(study.model(variant), record.seed)).model
        model.to(machine.device)
        steps = kind.scored(
            study.scoring.methods, model, data, record.options, task, machine.device
        )
        scored = told(kind, f"{variant} seed {record.seed}", steps)
        if study.scoring.inside and record.seed == chosen:
            with study.remedy(f"prepare@{study.variant(variant).task}"):
                scored = kind.look_inside(model, data, record.options, record.seed, scored)
        found[record.seed] = scored
    write_evaluation(study, variant, records, found, counts)


def told(kind: Kind[Any, Any], name: str, steps: Iterable[Evaluation]) -> Evaluation:
    """Return the last of these, and print of each what it adds: scoring may take minutes."""
    known, started = dict[str, float](), time.perf_counter()
    for found in steps:
        new = {s: v for s, v in found.scores.items() if s not in known and kind.decides_with(s)}
        listed = ", ".join(
            f"{title(score)} {kind.metric(score).show(v)}" for score, v in new.items()
        )
        print(f"{name}  {listed}  {time.perf_counter() - started:.0f} s", flush=True)
        known = dict(found.scores)
    return found


def write_evaluation(
    study: Study,
    variant: str,
    records: Sequence[Record],
    found: Mapping[int, Evaluation],
    counts: Mapping[str, int],
) -> None:
    """Write what was found of each seed, and the means of all as metrics; print these."""
    kind = study.kind_of(variant)
    with new_folder(study.evaluation(variant)) as folder:
        write_scores(folder, {seed: evaluation.scores for seed, evaluation in found.items()})
        write_json(folder / COUNTS, counts)
        for record in records:
            inner = seed_folder(folder, record.seed)
            write_documents(inner, record)
            copy_circumstances(seed_folder(study.circumstances(variant), record.seed), inner)
            _write_seed(inner, found[record.seed])
    scores = read_scores(study.evaluation(variant), kind)
    means = {name: mean for name, (mean, _) in summary(scores).items()}
    write_json(study.metrics(variant), means)
    print(f"{variant}: " + ", ".join(f"{name} {value:.4f}" for name, value in means.items()))


def _write_seed(folder: Path, evaluation: Evaluation) -> None:
    write_items(folder, evaluation.items)
    write_table(folder / "breakdown.csv", evaluation.breakdown)
    if evaluation.samples:
        write_text(folder / SAMPLES, evaluation.samples)
    if evaluation.notes:
        write_json(folder / NOTES, evaluation.notes)
    if evaluation.settings:
        write_json(folder / SETTINGS, evaluation.settings)
    if evaluation.tokens:
        write_tokens(folder, evaluation.tokens)
    if evaluation.inside:
        write_inside(folder, evaluation.inside)
    if evaluation.maps:
        write_maps(folder, evaluation.maps)
    if evaluation.sheet:
        write_sheet(folder, evaluation.sheet)
