"""What an attention decoder looks at while it answers."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unroll.data.files import read_arrays
from unroll.errors import DataError
from unroll.models import padding
from unroll.models.decoders import AttentionDecoder
from unroll.models.seq2seq import Seq2Seq

NAME = "attention.safetensors"


def read_maps(folder: Path, symbols: int, remedy: str) -> dict[str, np.ndarray]:
    """Read the maps of a seed's evaluation: of K answers, to questions of T symbols each.

    `sources` (K, T) and `answers` (K, T') hold ids of so many `symbols`, `right` (K,) 0 or 1, and
    `weights` (K, T', T) what each symbol of an answer gave to each of its question.

    Raises:
        DataError: the file is missing, or not of that form.
    """
    maps = read_arrays(folder / NAME, remedy)
    if not _are_maps(maps, symbols):
        raise DataError(f"{folder / NAME} holds no attention maps; {remedy}")
    return maps


def _are_maps(arrays: dict[str, np.ndarray], symbols: int) -> bool:
    weights = arrays.get("weights")
    if weights is None or weights.ndim != 3 or weights.dtype.kind != "f":
        return False
    count, steps, length = weights.shape
    ids = {"sources": (count, length), "answers": (count, steps), "right": (count,)}
    return (
        arrays.keys() == {*ids, "weights"}
        and bool(np.isfinite(weights).all())
        and all(arrays[name].shape == shape for name, shape in ids.items())
        and all(arrays[name].dtype.kind in "iu" for name in ids)
        and all(((arrays[name] >= 0) & (arrays[name] < symbols)).all() for name in ids)
    )


@torch.inference_mode()
def attention_weights(model: Seq2Seq, sources: Tensor, start: int, answers: Tensor) -> Tensor:
    """Return the weights (N, T', T) that each symbol of answers (N, T') gives to sources (N, T).

    The source's symbols stand in the order of the text, also where the encoder reads it from its
    end. The decoder reads the answers that it is given: its own ones show how it came to them.
    """
    decoder = model.decoder
    assert isinstance(decoder, AttentionDecoder)
    model.eval()
    memory, state = model.encode(sources)
    inputs = torch.cat([torch.full_like(answers[:, :1], start), answers[:, :-1]], dim=1)
    hidden, _ = decoder.recurrent(decoder.embedding(inputs), state)
    weights = decoder.attend(hidden, memory)
    return weights.gather(2, _order(model, sources)[:, None, :].expand_as(weights))


def _order(model: Seq2Seq, sources: Tensor) -> Tensor:
    """Return at which step (N, T) the encoder reads each symbol of the sources."""
    steps = torch.arange(sources.shape[1], device=sources.device).expand_as(sources)
    if not model.encoder.reverse_source:
        return steps
    masked, blank = model.encoder.masked, model.encoder.blank
    return padding.reverse(steps, padding.text_lengths(sources, blank) if masked else None)
