"""What people ask of trained models by hand."""

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unroll import study as params
from unroll.api import Model, OpenStudy
from unroll.conversation import Conversation
from unroll.errors import UserError
from unroll.kinds.kind import Kind
from unroll.storage.files import write_text
from unroll.study import Study

# What is typed in a conversation and is not said:
NEW, BYE = "/new", "/bye"


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
    if picture is not None and picture.suffix != ".svg":
        raise UserError(f"--map: {picture} cannot be written; pictures are SVG: name it FILE.svg")
    model = _model(study, task, variant, lambda kind: not kind.continues)
    if unknown := model.unknown(question):
        print(f"unknown to this model: {', '.join(dict.fromkeys(unknown))}", file=sys.stderr)
    if alternatives == 1:
        print(model.ask(question, **request))
    else:
        request = {**request, "beam_width": max(alternatives, request.get("beam_width", 1))}
        found = model.likeliest(question, **request)
        for text, logarithm in found[:alternatives]:
            print(f"{math.exp(logarithm):.2%}  {text}")
    if picture is not None:
        from unroll.reporting.figures import attention_map

        look = model.look(question, **request)
        write_text(picture, attention_map(look.weights, look.question, look.answer, ""))


def chat(study: Study, task: str | None, variant: str | None, chosen: Mapping[str, Any]) -> None:
    """Talk with a model, line by line, until the input ends or somebody says goodbye."""
    model = _model(study, task, variant, lambda kind: kind.converses)
    request, conversation = model.request(chosen), Conversation(model.trained)
    asks = sys.stdin.isatty()
    if asks:
        print(f"You talk with {model.record.subject.variant}. {NEW} begins anew, {BYE} ends.")
    while (text := _heard(asks)) not in (None, BYE):
        if text == NEW:
            conversation = Conversation(model.trained)
        elif text:
            try:
                print(conversation.say(text, request)[0], flush=True)
            except UserError as error:
                print(error, file=sys.stderr)


def _heard(asks: bool) -> str | None:
    """Return the next line that somebody types; None where there is none."""
    try:
        return input("> " if asks else "").strip()
    except EOFError:
        return None


def complete(
    study: Study, prompt: str, task: str | None, variant: str | None, chosen: Mapping[str, Any]
) -> None:
    """Continue a prompt with one variant, or with the best that is trained."""
    model = _model(study, task, variant, lambda kind: kind.continues)
    given = study.generate.model_dump() if study.generate else {}
    options = params.generation({**given, "samples": 1, "prompts": [prompt], **chosen})
    print("\n\n".join(model.write(prompt, options)))


def _model(
    study: Study, task: str | None, variant: str | None, can: Callable[[Kind[Any, Any]], bool]
) -> Model:
    """Return the model of a variant, or the best of a task: by default the first that can do it."""
    able = [v for v in study.variants if can(study.kind_of(v))]
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
