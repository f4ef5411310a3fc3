"""What an attention decoder looks at while it answers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from unroll.data.pairs import Pairs
from unroll.evaluation.accuracy import Accuracy
from unroll.models.padding import PADDINGS
from unroll.models.seq2seq import Seq2Seq
from unroll.models.side import Side


def maps_of(
    model: Seq2Seq, pairs: Pairs, padding: str, device: str, test: Accuracy, rows: np.ndarray
) -> list[dict[str, Any]]:
    """Return the maps of these test questions; none where the decoder has no attention.

    Symbols stand in the order of the text, also where the encoder reads it from its end. The
    decoder reads its own answers: they show how it came to them.
    """
    sources, form = pairs.sources["test"].part(rows), pairs.form
    answers = test.written.symbols[torch.as_tensor(rows)]
    known = PADDINGS[padding]
    source = Side(sources, known, device)
    ids, lengths = source.read(torch.arange(len(source)))
    weights = attention_weights(model, ids, lengths, answers.to(device), form.answers["start"])
    if weights is None:
        return []
    ends = known.answered(answers, form.answers["end"]).sum(dim=1).tolist()
    widths = [known.width(one[None], sources.width) for one in source.lengths]
    return [
        {
            "question": form.source.decode(sources.ids[i, : widths[i]].tolist()),
            "answer": form.answers.decode(answers[i, : ends[i]].tolist()),
            "right": bool(test.right[row]),
            "weights": weights[i, : ends[i], : widths[i]].cpu().double().numpy().round(4).tolist(),
        }
        for i, row in enumerate(rows.tolist())
    ]


@torch.inference_mode()
def attention_weights(
    model: Seq2Seq, sources: Tensor, lengths: Tensor | None, answers: Tensor, start: int
) -> Tensor | None:
    """Return the weights (N, T', T) that each symbol of answers (N, T') gives to sources (N, T).

    None where the decoder has no attention.
    """
    model.eval()
    memory, state = model.encode(sources, lengths)
    inputs = torch.cat([torch.full_like(answers[:, :1], start), answers[:, :-1]], dim=1)
    weights = model.decode(inputs, state, memory).weights
    if weights is None:
        return None
    return weights.gather(2, memory.positions[:, None, :].expand_as(weights))
