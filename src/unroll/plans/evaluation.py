"""What the evaluation of a variant, and its writing, do at toy size."""

import hashlib
import json
from typing import Any

import numpy as np
import torch

from unroll.kinds import kind_of
from unroll.options import Compute, Generate, Scoring, VariantOptions, resolved
from unroll.plans.plan import projection, rounded
from unroll.plans.training import SEED, in_parts, lively, miniature
from unroll.runs.model import TrainedModel
from unroll.tasks.task import Task
from unroll.training.sources import tokens_digest

FEW = 3  # of the likeliest words, where words are few


class MadeUp(Task[Any]):
    """A task of which nothing is known."""

    def __init__(self, kind: str) -> None:
        self.kind = kind  # type: ignore[misc]

    def prepare(self) -> Any:
        """Return the made-up data of its kind."""


def evaluation_plan(
    options: VariantOptions, compute: Compute, task: Task[Any], scoring: Scoring
) -> dict[str, Any]:
    """Return the plan of a variant's evaluation.

    What a task alone knows stands in its file: of that the plan has the tokens.
    """
    toy, kind = miniature(options), kind_of(options)
    data, model = kind.made_up(toy), lively(toy)
    kind.bring_to_end(data, model, toy)
    data = kind.half_right(data, model, toy)
    if task.keeps_texts:
        data = kind.with_texts(data)
    with in_parts():
        *_, found = kind.scored(scoring.methods, model, data, toy, MadeUp(kind.name), "cpu")
    table = found.breakdown.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return {
        "compute": {"device": compute.device},
        "task": tokens_digest(f"tasks/{task.options.kind}.py")[:16],
        # What is made up is too short to look into a model that has read it.
        **({"inside": tokens_digest("evaluation/inside.py")[:16]} if scoring.inside else {}),
        "behaviour": {
            "scores": rounded(found.scores),
            "items": {
                name: rounded([_number(part) for part in (item.values, item.weights)])
                for name, item in found.items.items()
            },
            "breakdown": _digest(table),
            "samples": _digest(found.samples),
            "maps": _digest(json.dumps(rounded(found.maps))),
            **({"notes": found.notes} if found.notes else {}),
            **({"settings": found.settings} if found.settings else {}),
            **({"sheet": _sheet(found.sheet)} if found.sheet else {}),
        },
    }


def writing_plan(options: VariantOptions, generate: Generate | None) -> dict[str, Any]:
    """Return the plan of what a variant's models write: nothing where they do not write."""
    kind = kind_of(options)
    if generate is None or not kind.continues:
        return {"options": None, "behaviour": {}}
    toy = miniature(options)
    data, model = kind.made_up(toy), lively(toy)
    words = kind.example(MadeUp(kind.name), kind.form(data)).split()
    small = {
        "prompts": words,
        "samples": 2,
        "length": 8,
        "top_k": min(generate.top_k, FEW),
        "skip": words[:1] if generate.skip else [],
    }
    trained = TrainedModel(_Toy(toy), kind.form(data), model)  # type: ignore[arg-type]
    written = kind.write(trained, generate.model_copy(update=small))
    return {
        "options": resolved(generate),
        "behaviour": {prompt: [one.text for one in texts] for prompt, texts in written.items()},
    }


class _Toy:
    """As much of a record as writing asks for."""

    def __init__(self, options: VariantOptions) -> None:
        self.options, self.seed = options, SEED


def _number(values: np.ndarray | None) -> float | None:
    return None if values is None else projection(torch.as_tensor(values.astype(float)))


def _sheet(pictures: list[dict[str, Any]]) -> str:
    """Return a digest of what is said of pictures: how these are written is not ours."""
    said = [{name: of[name] for name in of if name != "picture"} for of in pictures]
    return _digest(json.dumps(rounded(said)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
