"""Stage evaluate: the trained seeds of a variant, scored on validation and test."""

import tempfile
from pathlib import Path

import pandas as pd

from unroll.config import Study
from unroll.data.corpus import load_corpus
from unroll.data.files import digest, write_json, write_text
from unroll.data.pairs import load_pairs
from unroll.errors import DataError
from unroll.evaluation.evaluate import Evaluation, evaluate_model
from unroll.evaluation.scores import write_scores
from unroll.record import Record, read_model, record_documents, seed_folder, seed_folders
from unroll.reporting.figures import learning_curves
from unroll.tracking.runs import Tracker
from unroll.tracking.subject import Subject
from unroll.training.machine import choose


def evaluate(study: Study, variant: str) -> None:
    """Score a variant; write a table of all seeds, their means, and sample answers."""
    options, folder = study.variant(variant), study.model(variant)
    remedy = study.remedy(f"train@{variant}")
    prepared = study.prepared(options.task)
    load = load_pairs if study.tasks[options.task].kind == "pairs" else load_corpus
    data = load(prepared, study.remedy(f"prepare@{options.task}"))
    machine = choose(study.compute)
    machine.prepare_process()
    records: dict[int, Record] = {}
    found: dict[int, Evaluation] = {}
    for path in seed_folders(folder, remedy):
        record, model = read_model(path, remedy)
        if record.data_digest != digest(prepared):
            raise DataError(f"{path} was trained on other data than {prepared}; {remedy}")
        records[record.seed] = record
        found[record.seed] = evaluate_model(record, model, data, machine.device)
    scores = {seed: evaluation.scores for seed, evaluation in found.items()}
    means = pd.DataFrame(scores).T.mean().to_dict()
    write_scores(study.scores(variant), scores)
    write_json(study.metrics(variant), {k: float(f"{v:.6g}") for k, v in means.items()})
    samples = next(iter(found.values())).samples
    if samples:
        write_text(study.samples(variant), samples)
    print(f"{variant}: " + ", ".join(f"{name} {value:.4f}" for name, value in means.items()))
    _track(study, variant, records, found)


def _track(
    study: Study, variant: str, records: dict[int, Record], found: dict[int, Evaluation]
) -> None:
    """Complete the runs in MLflow with scores, samples and curves."""
    first = next(iter(records.values()))
    subject = Subject(study.name, first.options.task, variant, first.options, first.data_digest)
    tracker = Tracker(subject, first.facts)
    with tempfile.TemporaryDirectory() as temporary:
        curves = Path(temporary) / "learning_curves.svg"
        learning_curves({variant: list(records.values())}, variant, curves)
        files = {}
        for seed, evaluation in found.items():
            samples = Path(temporary) / str(seed) / "samples.txt"
            write_text(samples, evaluation.samples)
            documents = record_documents(seed_folder(study.model(variant), seed))
            files[seed] = [*documents, *([samples] if evaluation.samples else [])]
        tracker.evaluated(
            {seed: record.history for seed, record in records.items()},
            {seed: evaluation.scores for seed, evaluation in found.items()},
            files,
            [curves],
        )
