"""What people ask of trained models by hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unroll.config import ROOT_STUDY, Generate, Study
from unroll.errors import DataError, UserError
from unroll.evaluation.selection import best
from unroll.generation.answering import answer_text
from unroll.record import read_model
from unroll.stages.generate import continuations


def ask(study: Study, question: str, task: str, variant: str | None) -> None:
    """Answer a question with one variant, or with the best that is trained."""
    study.task(task)
    variants = [name for name, v in study.variants_of("pairs").items() if v.task == task]
    folder = _best_run(study, variants, variant)
    record, model = read_model(folder, study.remedy(f"train@{folder.parent.name}"))
    print(answer_text(record, model, question))


def complete(study: Study, prompt: str, variant: str | None, chosen: Mapping[str, Any]) -> None:
    """Continue a prompt with one variant, or with the best that is trained."""
    folder = _best_run(study, list(study.variants_of("corpus")), variant)
    given = study.generate.model_dump() if study.generate else {}
    options = Generate.model_validate({**given, "samples": 1, "prompts": [prompt], **chosen})
    print("\n\n".join(continuations(study, folder.parent.name, prompt, options)))


def _best_run(study: Study, variants: list[str], chosen: str | None) -> Path:
    """Return the record folder of the best run of `chosen`, or of all that are trained."""
    if chosen is not None:
        study.variant(chosen)
        if chosen not in variants:
            raise UserError(f"{chosen} cannot do this; choose one of {', '.join(variants)}")
        variants = [chosen]
    trained = [study.model(name) for name in variants if study.model(name).is_dir()]
    if not trained:
        everything = "make repro" if study.name == ROOT_STUDY else f"make {study.name}"
        raise DataError(
            f"no trained model of {' or '.join(variants)} yet. First run: "
            f"{' or '.join(study.remedy(f'train@{v}').removeprefix('run: ') for v in variants[:1])}"
            f" (this model alone), or {everything} (the whole study)"
        )
    return best(trained, "train it again")
