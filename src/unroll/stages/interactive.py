"""What people ask of trained models by hand."""

from collections.abc import Mapping
from typing import Any

from unroll import study as params
from unroll.api import Model, OpenStudy
from unroll.errors import UserError
from unroll.study import Study


def ask(study: Study, question: str, task: str | None, variant: str | None) -> None:
    """Answer a question with one variant, or with the best that is trained."""
    print(_model(study, task, variant, continues=False).ask(question))


def complete(
    study: Study, prompt: str, task: str | None, variant: str | None, chosen: Mapping[str, Any]
) -> None:
    """Continue a prompt with one variant, or with the best that is trained."""
    model = _model(study, task, variant, continues=True)
    given = study.generate.model_dump() if study.generate else {}
    options = params.generation({**given, "samples": 1, "prompts": [prompt], **chosen})
    print("\n\n".join(model.write(prompt, options)))


def _model(study: Study, task: str | None, variant: str | None, continues: bool) -> Model:
    """Return the model of a variant, or the best of a task: by default the first that can do it."""
    able = [v for v in study.variants if study.kind_of(v).continues == continues]
    if not able:
        raise UserError(f"{study.params_file} has no variant that can do this")
    if variant is not None:
        study.variant(variant)
        if variant not in able:
            raise UserError(f"{variant} cannot do this; choose one of {', '.join(able)}")
        return OpenStudy(study).model(variant)
    if task is not None:
        study.task(task)
    else:  # in most studies the only one
        task = study.variants[able[0]].task
    of_task = [v for v in able if study.variants[v].task == task]
    if not of_task:
        raise UserError(f"{study.params_file} has no variant of {task} that can do this")
    return OpenStudy(study).best(task, of_task)
