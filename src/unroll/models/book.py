"""Weights of the models of "Deep Learning from Scratch 2", as weights of ours.

The book's `save_params` leaves a list of the arrays of a model in the order of its layers. There an
input is a row, x @ W + b, so that a matrix (in, out) becomes one of ours (out, in). The gates of an
LSTM stand there in columns as f, g, i, o (section 6.3.1), in PyTorch's rows as i, f, g, o. Of
PyTorch's two biases per gate the second stays zero (models/initialise.py).

What a decoder reads stands in the same order as here: of PeekySeq2seq the encoder's h comes first,
of AttentionSeq2seq the context.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from unroll.errors import DataError, UserError
from unroll.options import CorpusOptions, PairsOptions, VariantOptions, neutral_values

# Options whose values all of the book's models have. Of those that came later, as many as there
# are, it has none: they are at their neutral values.
FIXED: dict[type[VariantOptions], dict[str, Any]] = {
    CorpusOptions: {"cell": "lstm", "skip_connections": False},
    PairsOptions: {
        "cell": "lstm",
        "layers": 1,
        "bidirectional": False,
        "padding": "plain",
        "bridge": "hidden",
    },
}
DECODERS = {"plain": "Seq2seq", "peeky": "PeekySeq2seq", "attention": "AttentionSeq2seq"}
GATES = {3: "a GRU, whose reset gate is another than PyTorch's", 1: "a simple recurrent net"}

Convert = Callable[[np.ndarray], np.ndarray]


class Part(NamedTuple):
    """An array of the book's list: what it is, its shape there, and how it becomes ours."""

    what: str
    shape: tuple[int, ...]
    name: str  # of the parameter of ours
    convert: Convert


def check_options(options: VariantOptions, place: str) -> None:
    """Check that a variant computes as one of the book's models does.

    Raises:
        UserError: it does not; the message names each option that differs.
    """
    fixed = FIXED.get(type(options))
    if fixed is None:
        raise UserError(f"{place}: the book has language models and pairs, no {options.kind}")
    faults = [
        f"{name}: {getattr(options, name)} (the book's models have {value})".lower()
        for name, value in {**fixed, **neutral_values(type(options))}.items()
        if getattr(options, name) != value
    ]
    if isinstance(options, PairsOptions) and options.decoder not in DECODERS:
        faults.append(f"decoder: {options.decoder} (the book has {', '.join(DECODERS)})")
    if faults:
        raise UserError(
            "\n".join([f"{place} is no model of the book:", *map("  {}".format, faults)])
        )


def sized(options: VariantOptions, arrays: Sequence[np.ndarray]) -> VariantOptions:
    """Return a variant's options with the sizes D and H of these arrays.

    One bias per gate, as in the book, is what `init: book` says.

    Raises:
        DataError: these are the arrays of another model.
    """
    _check_count(options, arrays)
    embedding, hidden = arrays[0], arrays[2]
    if embedding.ndim != 2 or hidden.ndim != 2:
        raise DataError(f"no list of a model of the book: {_shapes(arrays)}")
    H, columns = hidden.shape
    if columns != 4 * H:
        what = GATES.get(columns // H) if columns % H == 0 else None
        of = f", as of {what}" if what else ""
        raise DataError(f"Wh (array 3) is of the shape {hidden.shape}{of}; an LSTM's is (H, 4H)")
    D = embedding.shape[1]
    if isinstance(options, CorpusOptions) and options.tie_weights and D != H:
        raise DataError(f"tie_weights: true, but D = {D} and H = {H} differ")
    sizes = {"embedding_size": D, "hidden_size": H}
    return options.model_copy(update={**sizes, "match_parameters": None, "init": "book"})


def weights(
    options: VariantOptions, symbols: int, arrays: Sequence[np.ndarray], order: Sequence[int]
) -> dict[str, np.ndarray]:
    """Return the book's arrays by the names of our parameters.

    `options` are those of `sized`, `symbols` is V; `order` (V,) says which id each symbol of ours
    has in the book.

    Raises:
        DataError: an array is not of the shape that the options ask for, or not finite.
    """
    if arrays[0].shape[0] != symbols:
        raise DataError(
            f"it knows {arrays[0].shape[0]:,} symbols, and the data have {symbols:,}: it was "
            "trained on other data"
        )
    if _is_repeated(options, arrays):
        *arrays, matrix, bias = arrays
        if not np.array_equal(matrix, arrays[0].T):
            raise DataError("tie_weights: true, but its affine matrix is not its embedding")
        arrays = [*arrays, bias]
    found = _parts(options, symbols, np.asarray(order))
    _check_shapes(options, symbols, arrays, found)
    for number, (part, array) in enumerate(zip(found, arrays, strict=True), 1):
        if not np.isfinite(array).all():
            raise DataError(f"array {number} ({part.what}) has a number that is not finite")
    return {part.name: part.convert(a) for part, a in zip(found, arrays, strict=True)}


def fill(model: nn.Module, found: dict[str, np.ndarray]) -> None:
    """Give a model these weights; the second biases of its gates are zero."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias_hh" in name:
                parameter.zero_()
            else:
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(found[name])))


def _parts(options: VariantOptions, V: int, order: np.ndarray) -> list[Part]:
    """Return what the list of a model holds."""
    D, H = options.embedding_size, options.hidden_size
    if isinstance(options, CorpusOptions):
        layers = [
            part
            for i in range(options.layers)
            for part in _lstm(f"LSTM {i + 1}", H if i else D, H, f"recurrent.layers.{i}")
        ]
        affine = _affine(H, V, order, "affine")
        last = affine[1:] if options.tie_weights else affine
        return [_embedding("embedding", V, D, order, "embedding"), *layers, *last]
    assert isinstance(options, PairsOptions)
    peeks, looks = options.decoder == "peeky", options.decoder == "attention"
    reads = D + H * peeks  # the encoder's h, at every step
    return [
        _embedding("the encoder's embedding", V, D, order, "encoder.embedding"),
        *_lstm("the encoder's LSTM", D, H, "encoder.recurrent.layers.0"),
        _embedding("the decoder's embedding", V, D, order, "decoder.embedding"),
        *_lstm("the decoder's LSTM", reads, H, "decoder.recurrent.layers.0"),
        *_affine(H + H * (peeks or looks), V, order, "decoder.affine"),
    ]


def _embedding(what: str, V: int, D: int, order: np.ndarray, name: str) -> Part:
    return Part(f"W of {what}", (V, D), f"{name}.weight", lambda w: w[order])


def _lstm(what: str, D: int, H: int, name: str) -> list[Part]:
    return [
        Part(f"Wx of {what}", (D, 4 * H), f"{name}.weight_ih_l0", lambda w: _gates(w).T),
        Part(f"Wh of {what}", (H, 4 * H), f"{name}.weight_hh_l0", lambda w: _gates(w).T),
        Part(f"b of {what}", (4 * H,), f"{name}.bias_ih_l0", _gates),
    ]


def _affine(H: int, V: int, order: np.ndarray, name: str) -> list[Part]:
    return [
        Part("W of the affine layer", (H, V), f"{name}.weight", lambda w: w[:, order].T),
        Part("b of the affine layer", (V,), f"{name}.bias", lambda b: b[order]),
    ]


def _gates(x: np.ndarray) -> np.ndarray:
    """Return x (..., 4H) with its gates f, g, i, o as i, f, g, o."""
    f, g, i, o = np.split(x, 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)


def _counts(options: VariantOptions) -> list[int]:
    """Return how many arrays the list of a model may have."""
    if not isinstance(options, CorpusOptions):
        return [10]
    whole = 3 + 3 * options.layers
    return [whole - 1, whole] if options.tie_weights else [whole]


def _is_repeated(options: VariantOptions, arrays: Sequence[np.ndarray]) -> bool:
    """Say whether a list has the matrix twice that embedding and affine layer share."""
    tied = isinstance(options, CorpusOptions) and options.tie_weights
    return tied and len(arrays) == max(_counts(options))


def _check_count(options: VariantOptions, arrays: Sequence[np.ndarray]) -> None:
    if len(arrays) in (counts := _counts(options)):
        return
    wanted = " or ".join(map(str, counts))
    if isinstance(options, CorpusOptions):
        of = f"layers: {options.layers} and tie_weights: {options.tie_weights}".lower()
    else:
        of = "encoder and decoder"
    raise DataError(
        f"it has {len(arrays)} arrays, where a model with {of} has {wanted}; {_shapes(arrays)}"
    )


def _check_shapes(
    options: VariantOptions, V: int, arrays: Sequence[np.ndarray], parts: Sequence[Part]
) -> None:
    for number, (part, array) in enumerate(zip(parts, arrays, strict=True), 1):
        if array.shape != part.shape:
            raise DataError(
                f"array {number} ({part.what}) is of the shape {array.shape} instead of "
                f"{part.shape}{_of_another(options, V, arrays)}"
            )


def _of_another(options: VariantOptions, V: int, arrays: Sequence[np.ndarray]) -> str:
    """Return which decoder fits the arrays, where another one does."""
    for decoder, name in DECODERS.items() if isinstance(options, PairsOptions) else ():
        other = options.model_copy(update={"decoder": decoder})
        parts = _parts(other, V, np.arange(V))
        if [array.shape for array in arrays] == [part.shape for part in parts]:
            return f"; these are the arrays of {name}: name a variant with decoder: {decoder}"
    return ""


def _shapes(arrays: Sequence[np.ndarray]) -> str:
    return f"the shapes are {', '.join(str(array.shape) for array in arrays[:12])}"
