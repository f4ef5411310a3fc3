"""Stage evaluate: the trained seeds of a variant, scored on validation and test."""

from pathlib import Path

from unroll.config import Study
from unroll.data.files import digest, new_folder, write_arrays, write_json, write_text
from unroll.data.loading import load
from unroll.data.tables import write_table
from unroll.errors import DataError
from unroll.evaluation import attention
from unroll.evaluation.evaluate import Evaluation, evaluate_model
from unroll.evaluation.items import write_items
from unroll.evaluation.scores import read_scores, summary, write_runs, write_scores
from unroll.record import read_model, seed_folder
from unroll.stages.checkpoints import forget
from unroll.trained import trained
from unroll.training.machine import choose


def evaluate(study: Study, variant: str) -> None:
    """Score a variant; write the scores of all seeds, their means, and sample answers.

    Raises:
        DataError: the variant is not trained, not whole, or on other data than there are now.
    """
    options, remedy = study.variant(variant), study.remedy(f"train@{variant}")
    prepared = study.prepared(options.task)
    data = load(options.kind, prepared, study.remedy(f"prepare@{options.task}"))
    machine = choose(study.compute)
    machine.prepare_process()
    records = trained(study, variant)
    if records[0].subject.data_digest != digest(prepared):
        raise DataError(f"{variant} was trained on other data than {prepared}; {remedy}")
    forget(study, variant, records)
    module, found = study.task(options.task).module, dict[int, Evaluation]()
    for record in records:
        _, model = read_model(seed_folder(study.model(variant), record.seed), remedy)
        found[record.seed] = evaluate_model(record, model, data, module, machine.device)
    with new_folder(study.evaluation(variant)) as folder:
        write_scores(folder, {seed: evaluation.scores for seed, evaluation in found.items()})
        write_runs(folder, records)
        for seed, evaluation in found.items():
            _write_seed(folder / f"seed-{seed}", evaluation)
    scores = read_scores(study.evaluation(variant), study.remedy(f"evaluate@{variant}"))
    means = {name: mean for name, (mean, _) in summary(scores).items()}
    write_json(study.metrics(variant), means)
    print(f"{variant}: " + ", ".join(f"{name} {value:.4f}" for name, value in means.items()))


def _write_seed(folder: Path, evaluation: Evaluation) -> None:
    write_items(folder, evaluation.items)
    write_table(folder / "breakdown.csv", evaluation.breakdown)
    if evaluation.samples:
        write_text(folder / "samples.txt", evaluation.samples)
    if evaluation.attention is not None:
        write_arrays(folder / attention.NAME, evaluation.attention)
