"""What an attention decoder looks at while it answers."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, ValidationError, model_validator
from torch import Tensor

from unroll.data.pairs import Pairs
from unroll.errors import DataError
from unroll.evaluation.accuracy import Accuracy
from unroll.models.padding import PADDINGS
from unroll.models.seq2seq import Seq2Seq
from unroll.options import Share, Strict
from unroll.storage.files import read_json, write_json

NAME = "attention.json"

Weight = Annotated[Share, Field(allow_inf_nan=False)]


class Map(Strict):
    """How much each symbol of an answer looked at each symbol of its question."""

    question: list[str]
    answer: list[str]
    right: bool
    weights: list[
        list[Annotated[Share, Field(allow_inf_nan=False)]]
    ]  # a row per symbol of the answer

    @model_validator(mode="after")
    def _shape(self) -> "Map":
        rows = {len(row) for row in self.weights}
        if len(self.weights) != len(self.answer) or rows - {len(self.question)}:
            raise ValueError("there is no weight for each pair of symbols")
        return self


class Maps(Strict):
    """The file of a seed's maps."""

    maps: list[Map]


def write_maps(folder: Path, maps: list[dict[str, Any]]) -> None:
    """Write the maps of a seed."""
    write_json(folder / NAME, {"maps": maps})


def read_maps(folder: Path) -> list[Map]:
    """Read the maps of a seed; there are none where there is no file.

    Raises:
        DataError: the file is not of that form.
    """
    path = folder / NAME
    if not path.is_file():
        return []
    try:
        return Maps.model_validate(read_json(path)).maps
    except ValidationError as error:
        raise DataError(f"{path} holds no attention maps ({error.errors()[0]['msg']})") from None


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
    lengths = torch.as_tensor(np.array(sources.lengths)).long()
    weights = attention_weights(
        model,
        torch.as_tensor(np.array(sources.ids)).long().to(device),
        known.lengths(lengths),
        answers.to(device),
        form.answers["start"],
    )
    if weights is None:
        return []
    ends = known.answered(answers, form.answers["end"]).sum(dim=1).tolist()
    widths = [known.width(one[None], sources.width) for one in lengths]
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
    memory, state = model.encode(sources, None if lengths is None else lengths.to(sources.device))
    inputs = torch.cat([torch.full_like(answers[:, :1], start), answers[:, :-1]], dim=1)
    weights = model.decode(inputs, state, memory).weights
    if weights is None:
        return None
    return weights.gather(2, memory.positions[:, None, :].expand_as(weights))
