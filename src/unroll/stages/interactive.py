"""What people ask of trained models by hand."""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unroll import study as params
from unroll.api import Model, OpenStudy
from unroll.errors import UserError
from unroll.storage.files import write_text
from unroll.study import Study


def ask(
    study: Study,
    question: str,
    task: str | None,
    variant: str | None,
    alternatives: int,
    picture: Path | None,
    request: Mapping[str, Any],
) -> None:
    """Answer a question with one variant, or with the best that is trained.

    With more than one of `alternatives` each stands on a line behind its probability.
    """
    model = _model(study, task, variant, continues=False)
    if unknown := model.unknown(question):
        print(f"unknown to this model: {', '.join(dict.fromkeys(unknown))}", file=sys.stderr)
    if alternatives == 1:
        print(model.ask(question, **request))
    else:
        width = max(alternatives, request.get("beam_width", 1))
        found = model.likeliest(question, **{**request, "beam_width": width})
        for text, logarithm in found[:alternatives]:
            print(f"{math.exp(logarithm):.2%}  {text}")
    if picture is not None:
        from unroll.reporting.figures import attention_map

        look = model.look(question, **request)
        write_text(picture, attention_map(look.weights, look.question, look.answer, ""))


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
