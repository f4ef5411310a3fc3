"""The models of "Deep Learning from Scratch 2" in NumPy: what reads an imported list otherwise.

Lists of arrays as the book's `save_params` leaves them, and the equations of its chapters 6 to 8.
"""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.toys import array, sigmoid, softmax

Arrays = list[np.ndarray]


def drawn(random: np.random.Generator, *shapes: tuple[int, ...]) -> Arrays:
    """Return arrays of these shapes, of numbers that are large enough to matter."""
    return [random.normal(0, 0.7, shape) for shape in shapes]


def lstm_shapes(D: int, H: int) -> list[tuple[int, ...]]:
    return [(D, 4 * H), (H, 4 * H), (4 * H,)]


def rnnlm(random: np.random.Generator, V: int, D: int, H: int) -> Arrays:
    return drawn(random, (V, D), *lstm_shapes(D, H), (H, V), (V,))


def better_rnnlm(random: np.random.Generator, V: int, H: int, repeated: bool = True) -> Arrays:
    *arrays, bias = drawn(random, (V, H), *lstm_shapes(H, H), *lstm_shapes(H, H), (V,))
    return [*arrays, *([arrays[0].T] if repeated else []), bias]


def pairs_model(random: np.random.Generator, decoder: str, V: int, D: int, H: int) -> Arrays:
    reads = D + H if decoder == "peeky" else D
    into = H if decoder == "plain" else 2 * H
    encoder = [(V, D), *lstm_shapes(D, H)]
    return drawn(random, *encoder, (V, D), *lstm_shapes(reads, H), (into, V), (V,))


def saved(path: Path, arrays: Arrays, dtype: str = "f2", protocol: int = 4) -> Path:
    """Write a list of arrays as the book does."""
    path.write_bytes(pickle.dumps([a.astype(dtype) for a in arrays], protocol=protocol))
    return path


def lstm(xs: np.ndarray, Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray, h: object = None):
    """Return all h (N, T, H) over xs (N, T, D), from h (N, H) and c = 0."""
    H = len(Wh)
    h = np.zeros((len(xs), H)) if h is None else h
    c, hs = np.zeros((len(xs), H)), []
    for t in range(xs.shape[1]):
        A = xs[:, t] @ Wx + h @ Wh + b
        f, g = sigmoid(A[:, :H]), np.tanh(A[:, H : 2 * H])
        i, o = sigmoid(A[:, 2 * H : 3 * H]), sigmoid(A[:, 3 * H :])
        c = f * c + g * i
        h = o * np.tanh(c)
        hs.append(h)
    return np.stack(hs, axis=1)


def language_logits(arrays: Arrays, tokens: np.ndarray) -> np.ndarray:
    """Return the logits (N, T, V) of Rnnlm or BetterRnnlm after each of tokens (N, T)."""
    embedding, *layers = arrays
    bias = layers.pop()
    matrix = layers.pop() if len(layers) % 3 else embedding.T
    xs = embedding[tokens]
    for first in range(0, len(layers), 3):
        xs = lstm(xs, *layers[first : first + 3])
    return xs @ matrix + bias


def pairs_logits(
    decoder: str, arrays: Arrays, source: np.ndarray, inputs: np.ndarray
) -> np.ndarray:
    """Return the logits (N, T', V) of Seq2seq, PeekySeq2seq or AttentionSeq2seq."""
    embedding, *encoder = arrays[:4]
    hs = lstm(embedding[source], *encoder)
    h = hs[:, -1]
    xs = arrays[4][inputs]
    again = np.repeat(h[:, None], xs.shape[1], axis=1)
    if decoder == "peeky":
        xs = np.concatenate([again, xs], axis=2)
    out = lstm(xs, *arrays[5:8], h=h)
    if decoder == "peeky":
        out = np.concatenate([again, out], axis=2)
    if decoder == "attention":
        looks = softmax(out @ hs.transpose(0, 2, 1))
        out = np.concatenate([looks @ hs, out], axis=2)
    return out @ arrays[8] + arrays[9]


def arrays_of(model: object, order: Sequence[int]) -> Arrays:
    """Return a model of ours, with decoder, as the list that the book would save.

    `order` says which of our symbols has each id of the book's.
    """
    found = []
    for side in (model.encoder, model.decoder):
        layer = side.recurrent.layers[0]
        found.append(array(side.embedding.weight)[order])
        for name in ("weight_ih_l0", "weight_hh_l0"):
            found.append(_regated(array(getattr(layer, name))).T)
        found.append(_regated(array(layer.bias_ih_l0) + array(layer.bias_hh_l0)))
    affine = model.decoder.affine
    return [*found, array(affine.weight)[order].T, array(affine.bias)[order]]


def _regated(rows: np.ndarray) -> np.ndarray:
    i, f, g, o = np.split(rows, 4)
    return np.concatenate([f, g, i, o])
