"""What people ask of trained models by hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unroll import config
from unroll.config import ROOT_STUDY, Study
from unroll.errors import DataError, UserError
from unroll.evaluation.selection import best
from unroll.generation.answering import answer_texts
from unroll.record import read_model
from unroll.stages.generate import continuations


def ask(study: Study, question: str, task: str | None, variant: str | None) -> None:
    """Answer a question with one variant, or with the best that is trained."""
    pairs = study.variants_of("pairs")
    if task is not None:
        study.task(task)
    elif variant in pairs:
        task = pairs[variant].task
    else:  # in most studies the only one
        task = next((v.task for v in pairs.values()), None)
    variants = [name for name, v in pairs.items() if v.task == task]
    folder = _best_run(study, variants, variant)
    record, model = read_model(folder, study.remedy(f"train@{folder.parent.name}"))
    [(answer, _)] = answer_texts(record, model, [question])
    print(answer)


def complete(study: Study, prompt: str, variant: str | None, chosen: Mapping[str, Any]) -> None:
    """Continue a prompt with one variant, or with the best that is trained."""
    folder = _best_run(study, list(study.variants_of("corpus")), variant)
    given = study.generate.model_dump() if study.generate else {}
    options = config.generate({**given, "samples": 1, "prompts": [prompt], **chosen})
    record, model = read_model(folder, study.remedy(f"train@{folder.parent.name}"))
    print("\n\n".join(continuations(record, model, prompt, options)))


def _best_run(study: Study, variants: list[str], chosen: str | None) -> Path:
    """Return the record folder of the best run of `chosen`, or of all that are trained."""
    if not variants:
        raise UserError(f"{study.params_file} has no variant that can do this")
    if chosen is not None:
        study.variant(chosen)
        if chosen not in variants:
            raise UserError(f"{chosen} cannot do this; choose one of {', '.join(variants)}")
        variants = [chosen]
    trained = [study.model(name) for name in variants if study.model(name).is_dir()]
    if not trained:
        everything = "make repro" if study.name == ROOT_STUDY else f"make {study.name}"
        raise DataError(
            f"no trained model of {' or '.join(variants)} yet; "
            f"{study.remedy(f'train@{variants[0]}')} (this model alone), "
            f"or {everything} (the whole study)"
        )
    return best(trained, "train it again")
