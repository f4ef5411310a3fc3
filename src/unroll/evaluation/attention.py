"""What an attention decoder looks at while it answers."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unroll.data.batches import rows_at_once
from unroll.data.pairs import Pairs, PairsForm
from unroll.data.sequences import Sequences
from unroll.evaluation.accuracy import Accuracy
from unroll.models.encoder import Memory
from unroll.models.padding import PADDINGS
from unroll.models.seq2seq import Seq2Seq
from unroll.models.side import Side


class Look(NamedTuple):
    """What each symbol of an answer looked at: `weights` (T', T)."""

    question: list[str]
    answer: list[str]
    weights: np.ndarray


def maps_of(
    model: Seq2Seq, pairs: Pairs, padding: str, device: str, test: Accuracy, rows: np.ndarray
) -> list[dict[str, Any]]:
    """Return the maps of these test questions; none where the decoder has no attention."""
    sources, answers = pairs.sources["test"].part(rows), test.written.symbols[torch.as_tensor(rows)]
    looks = looks_of(model, sources, answers, pairs.form, padding, device)
    return [
        {
            "question": look.question,
            "answer": look.answer,
            "right": bool(test.right[row]),
            "weights": look.weights.round(4).tolist(),
        }
        for look, row in zip(looks, rows.tolist(), strict=False)
    ]


def looks_of(
    model: Seq2Seq, sources: Sequences, answers: Tensor, form: PairsForm, padding: str, device: str
) -> list[Look]:
    """Return what answers (N, T') looked at; nothing where the decoder has no attention.

    Symbols stand in the order of the text, also where the encoder reads it from its end. The
    decoder reads its own answers: they show how it came to them.
    """
    known = PADDINGS[padding]
    source, start = Side(sources, known, device), form.answers["start"]
    ends = known.answered(answers, form.answers["end"]).sum(dim=1).tolist()
    widths = [known.width(one[None], sources.width) for one in source.lengths]
    looks = []
    for rows in torch.arange(len(source)).split(rows_at_once(form.target_width, len(form.answers))):
        ids, lengths = source.read(rows)
        weights = attention_weights(model, ids, lengths, answers[rows].to(device), start)
        if weights is None:
            return []
        for i, looked in zip(rows.tolist(), weights.cpu().double().numpy(), strict=True):
            question = form.source.decode(sources.ids[i, : widths[i]].tolist())
            answer = form.answers.decode(answers[i, : ends[i]].tolist())
            looks.append(Look(question, answer, looked[: ends[i], : widths[i]]))
    return looks


def attention_weights(
    model: Seq2Seq, sources: Tensor, lengths: Tensor | None, answers: Tensor, start: int
) -> Tensor | None:
    """Return the weights (N, T', T) that each symbol of answers (N, T') gives to sources (N, T).

    None where the decoder has no attention.
    """
    weights, memory = step_weights(model, sources, lengths, answers, start)
    if weights is None:
        return None
    looked = weights.new_zeros((*weights.shape[:2], sources.shape[1]))
    return looked.scatter_add(2, memory.positions[:, None, :].expand_as(weights), weights)


@torch.inference_mode()
def step_weights(
    model: Seq2Seq, sources: Tensor, lengths: Tensor | None, answers: Tensor, start: int
) -> tuple[Tensor | None, Memory]:
    """Return the weights (N, T', steps) that answers (N, T') give to each step of the memory.

    None in their place where the decoder has no attention.
    """
    model.eval()
    memory, state = model.encode(sources, lengths)
    inputs = torch.cat([torch.full_like(answers[:, :1], start), answers[:, :-1]], dim=1)
    return model.decode(inputs, state, memory).weights, memory
