"""What people ask of trained models by hand."""

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unroll import study as params
from unroll.api import Model, OpenStudy
from unroll.conversation import Conversation
from unroll.data.pictures import picture_of, read_file, to_text
from unroll.errors import UserError
from unroll.kinds.kind import Kind
from unroll.storage.files import write_text
from unroll.study import Study

LARGE = 256  # width and height of a picture on which attention is drawn

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
    _check_map(picture)
    model = _model(study, task, variant, lambda kind: not (kind.continues or kind.sees))
    _name_unknown(model, question)
    _answer(model, question, alternatives, request)
    if picture is not None:
        from unroll.reporting.figures import attention_map

        look = model.look(question, **_wide(request, alternatives))
        write_text(picture, attention_map(look.weights, look.question, look.answer, ""))


def caption(
    study: Study,
    path: Path,
    task: str | None,
    variant: str | None,
    alternatives: int,
    picture: Path | None,
    request: Mapping[str, Any],
) -> None:
    """Say what is on a picture with one variant, or with the best that is trained."""
    _check_map(picture)
    model, content = _model(study, task, variant, lambda kind: kind.sees), read_file(path)
    large = picture_of(content, LARGE, str(path))  # a fault names the file
    _answer(model, to_text(content), alternatives, request)
    if picture is not None:
        from unroll.reporting.figures import looked_at

        look = model.look(to_text(content), **_wide(request, alternatives))
        write_text(picture, looked_at(large, look.answer, look.weights))


def _check_map(picture: Path | None) -> None:
    if picture is not None and picture.suffix != ".svg":
        raise UserError(f"--map: {picture} cannot be written; pictures are SVG: name it FILE.svg")


def _name_unknown(model: Model, text: str) -> None:
    """Say what of a text the model does not know: it reads all of that as one and the same."""
    if unknown := model.unknown(text):
        print(f"unknown to this model: {', '.join(dict.fromkeys(unknown))}", file=sys.stderr)


def _answer(model: Model, question: str, alternatives: int, request: Mapping[str, Any]) -> None:
    """Print the answer to a question, or so many, each behind its probability."""
    if alternatives == 1:
        print(model.ask(question, **request))
        return
    found = model.likeliest(question, **_wide(request, alternatives))
    for text, logarithm in found[:alternatives]:
        print(f"{math.exp(logarithm):.2%}  {text}")


def _wide(request: Mapping[str, Any], alternatives: int) -> Mapping[str, Any]:
    """Return what is asked for, with a beam that is wide enough for so many answers."""
    if alternatives == 1:
        return request
    return {**request, "beam_width": max(alternatives, request.get("beam_width", 1))}


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
                _name_unknown(model, text)
                print(conversation.say(text, request)[0], flush=True)
            except UserError as error:
                print(error, file=sys.stderr)


def _heard(asks: bool) -> str | None:
    """Return the next line that somebody types; None where there is none."""
    try:
        return input("> " if asks else "").strip()
    except EOFError:
        return None
    except UnicodeDecodeError:
        raise UserError("what was typed is no text in UTF-8") from None


def complete(
    study: Study, prompt: str, task: str | None, variant: str | None, chosen: Mapping[str, Any]
) -> None:
    """Continue a prompt with one variant, or with the best that is trained."""
    model = _model(study, task, variant, lambda kind: kind.continues)
    given = study.generate.model_dump() if study.generate else {}
    options = params.generation({**given, "samples": 1, "prompts": [prompt], **chosen})
    print("\n\n".join(model.continuations(prompt, options)))


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
