"""Captions scored on validation and test, and a sheet of pictures with what was said of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from unroll.data.captioned import Captioned
from unroll.data.pictures import to_png, to_text
from unroll.data.vocabulary import Vocabulary
from unroll.evaluation.accuracy import Accuracy, accuracy
from unroll.evaluation.attention import step_weights
from unroll.evaluation.evaluation import Evaluation
from unroll.evaluation.items import Item
from unroll.evaluation.pairs import Shown, evaluate_answers
from unroll.models.seq2seq import Seq2Seq
from unroll.tasks.task import Task

SHEET = 6  # pictures with a right caption, and with a wrong one


def evaluate_captions(
    model: Seq2Seq, data: Captioned, padding: str, task: Task[Any], device: str
) -> Evaluation:
    """Score a model, in the precision of its weights, on the whole of each split."""
    found = {s: accuracy(model, data, s, padding, device) for s in ("valid", "test")}
    scored = evaluate_answers(model, data, padding, task, device, found, Shown())
    truths = {s: _truths(data.questions(s), of.texts, task) for s, of in found.items()}
    true = {s: np.array(of) for s, of in truths.items() if None not in of}
    scores = {f"{s}_true_captions": float(of.mean()) for s, of in true.items()}
    items = dict(scored.items)
    if "test" in true:
        items["true_captions"] = Item(true["test"].astype(np.uint8))
    return replace(
        scored,
        scores=scored.scores | scores,
        items=items,
        sheet=sheet(model, data, found["test"], truths["test"], device),
    )


def _truths(questions: list[str], answered: list[str], task: Task[Any]) -> list[bool | None]:
    return [task.is_true(q, a) for q, a in zip(questions, answered, strict=True)]


def sheet(
    model: Seq2Seq, data: Captioned, test: Accuracy, truths: list[bool | None], device: str
) -> list[dict[str, Any]]:
    """Return some test pictures with their captions: the first that are right, and wrong."""
    rows = np.concatenate([np.flatnonzero(test.right == right)[:SHEET] for right in (True, False)])
    pictures, start = data.sources["test"].part(rows), data.form.answers["start"]
    symbols = test.written.symbols[torch.as_tensor(rows)].to(device)
    looked = None
    if len(rows):
        pixels = torch.as_tensor(pictures.pixels[pictures.rows]).to(device)
        looked, _ = step_weights(model, pixels, None, symbols, start)
    references = data.references("test")
    found = []
    for i, row in enumerate(rows.tolist()):
        words = words_of(data.form.answers, symbols[i].tolist())
        found.append(
            {
                "picture": to_text(to_png(pictures.shown(i))),
                "references": references[row],
                "answer": test.texts[row],
                "right": bool(test.right[row]),
                "true": truths[row],
                "words": words,
                "weights": []
                if looked is None
                else looked[i, : len(words)].cpu().double().numpy().round(4).tolist(),
            }
        )
    return found


def words_of(answers: Vocabulary, symbols: list[int]) -> list[str]:
    """Return the words of a caption up to its end: special ones are a word each, too."""
    words, end = answers.decode(symbols), answers.special["end"]
    return words[: words.index(end)] if end in words else words
