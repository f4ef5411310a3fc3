"""An encoder and a decoder in NumPy alone, the gradients written out by hand.

What addition is measured against: embeddings, an LSTM that reads, an LSTM that writes (it starts
from the last h, with c = 0), an affine layer and the softmax, on batches of sequences of one
length, trained with Adam on a gradient whose global norm is clipped. Products with the weights of
the inputs are taken for all steps at once, those of the recurrent weights step by step.

Shapes: N batch, T time steps, D embedding size, H hidden size, V symbols. Sequences come as (N, T);
inside, time comes first. The gates stand in the order input, forget, candidate, output.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray

Arrays = dict[str, ndarray]

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam


class Kept(NamedTuple):
    """What an LSTM must know of its way forward to find the gradients."""

    x: ndarray  # (T, N, D)
    hidden: ndarray  # (T + 1, N, H), the first being what it started from
    cell: ndarray  # (T + 1, N, H)
    gates: ndarray  # (T, N, 4 H), behind their functions
    squashed: ndarray  # (T, N, H): tanh of the cell


def sigmoid(x: ndarray) -> ndarray:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def forward(x: ndarray, h: ndarray, c: ndarray, of: Arrays, name: str) -> Kept:
    """Run the LSTM called `name` over x (T, N, D) from h and c (N, H)."""
    Wh = of[f"{name}.Wh"]
    T, (N, H) = len(x), h.shape
    gates = x @ of[f"{name}.Wx"] + of[f"{name}.b"]
    hidden, cell = (np.empty((T + 1, N, H), x.dtype) for _ in range(2))
    squashed = np.empty((T, N, H), x.dtype)
    hidden[0], cell[0] = h, c
    for t in range(T):
        a = gates[t]
        a += hidden[t] @ Wh
        a[:, : 2 * H] = sigmoid(a[:, : 2 * H])
        a[:, 2 * H : 3 * H] = np.tanh(a[:, 2 * H : 3 * H])
        a[:, 3 * H :] = sigmoid(a[:, 3 * H :])
        i, f, g, o = np.split(a, 4, axis=1)
        cell[t + 1] = f * cell[t] + i * g
        squashed[t] = np.tanh(cell[t + 1])
        hidden[t + 1] = o * squashed[t]
    return Kept(x, hidden, cell, gates, squashed)


def backward(
    kept: Kept, outputs: ndarray | None, last: ndarray | None, of: Arrays, name: str, into: Arrays
) -> tuple[ndarray, ndarray]:
    """Return the gradients of x (T, N, D) and of the first h; write those of weights `into`.

    Given are the gradients of the outputs (T, N, H) and of the last h (N, H), None for zeros.
    """
    Wx, Wh = of[f"{name}.Wx"], of[f"{name}.Wh"]
    T, N, H = kept.squashed.shape
    da = np.empty_like(kept.gates)
    dh, dc = (np.zeros((N, H), da.dtype) for _ in range(2))
    if last is not None:
        dh += last
    for t in reversed(range(T)):
        i, f, g, o = np.split(kept.gates[t], 4, axis=1)
        if outputs is not None:
            dh = dh + outputs[t]
        dc = dc + dh * o * (1 - kept.squashed[t] ** 2)
        da[t, :, :H] = dc * g * i * (1 - i)
        da[t, :, H : 2 * H] = dc * kept.cell[t] * f * (1 - f)
        da[t, :, 2 * H : 3 * H] = dc * i * (1 - g**2)
        da[t, :, 3 * H :] = dh * kept.squashed[t] * o * (1 - o)
        dh, dc = da[t] @ Wh.T, dc * f
    flat = da.reshape(T * N, -1)
    into[f"{name}.Wx"] = kept.x.reshape(T * N, -1).T @ flat
    into[f"{name}.Wh"] = kept.hidden[:-1].reshape(T * N, -1).T @ flat
    into[f"{name}.b"] = flat.sum(axis=0)
    return da @ Wx.T, dh


class Seq2Seq:
    """The model, its gradients, and what a step of training does with them."""

    def __init__(self, symbols: int, embedding_size: int, hidden_size: int, seed: int = 0) -> None:
        V, D, H = symbols, embedding_size, hidden_size
        random = np.random.default_rng(seed)

        def drawn(rows: int, columns: int, deviation: float) -> ndarray:
            return (deviation * random.standard_normal((rows, columns))).astype(np.float32)

        self.parameters: Arrays = {"affine.W": drawn(H, V, H**-0.5)}
        self.parameters["affine.b"] = np.zeros(V, np.float32)
        for side in ("encoder", "decoder"):
            self.parameters[f"{side}.embedding"] = drawn(V, D, 0.01)
            self.parameters[f"{side}.Wx"] = drawn(D, 4 * H, D**-0.5)
            self.parameters[f"{side}.Wh"] = drawn(H, 4 * H, H**-0.5)
            self.parameters[f"{side}.b"] = np.zeros(4 * H, np.float32)
        self.moments: dict[str, tuple[ndarray, ndarray]] = {}
        self.taken = 0  # steps

    def gradients(self, source: ndarray, target: ndarray) -> tuple[float, Arrays]:
        """Return the mean cross entropy of targets (N, T') after their first symbol, and gradients.

        `source` is (N, T).
        """
        of, into, (N, T) = self.parameters, Arrays(), (len(target), target.shape[1] - 1)
        read = self._run("encoder", source, None)
        written = self._run("decoder", target[:, :-1], read.hidden[-1])
        hidden = written.hidden[1:].reshape(T * N, -1)
        logits = hidden @ of["affine.W"] + of["affine.b"]
        logits -= logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        expected, rows = target[:, 1:].T.ravel(), np.arange(T * N)
        loss = -logs[rows, expected].mean()

        dlogits = np.exp(logs)
        dlogits[rows, expected] -= 1
        dlogits /= T * N
        into["affine.W"], into["affine.b"] = hidden.T @ dlogits, dlogits.sum(axis=0)
        outputs = (dlogits @ of["affine.W"].T).reshape(T, N, -1)
        dx, dh = backward(written, outputs, None, of, "decoder", into)
        self._embedded("decoder", target[:, :-1], dx, into)
        dx, _ = backward(read, None, dh, of, "encoder", into)
        self._embedded("encoder", source, dx, into)
        return float(loss), into

    def step(self, source: ndarray, target: ndarray, rate: float, clip: float) -> float:
        """Take a step of Adam down the gradient, its norm at most `clip`; return the loss."""
        loss, gradients = self.gradients(source, target)
        norm = sum(float((gradient**2).sum()) for gradient in gradients.values()) ** 0.5
        scale = min(1.0, clip / (norm + 1e-6))
        self.taken += 1
        first, second = (1 - beta**self.taken for beta in BETAS)
        for name, parameter in self.parameters.items():
            gradient = gradients[name] * parameter.dtype.type(scale)
            zeros = np.zeros_like(parameter), np.zeros_like(parameter)
            mean, square = self.moments.setdefault(name, zeros)
            mean += (1 - BETAS[0]) * (gradient - mean)
            square += (1 - BETAS[1]) * (gradient**2 - square)
            parameter -= rate / first * mean / (np.sqrt(square / second) + EPSILON)
        return loss

    def answer(self, source: ndarray, start: int, length: int) -> ndarray:
        """Return the likeliest symbols (N, length) after the symbol `start`, one after another."""
        of, h = self.parameters, self._run("encoder", source, None).hidden[-1]
        c, symbols, written = np.zeros_like(h), np.full((len(source), 1), start), []
        for _ in range(length):
            kept = forward(self._embed("decoder", symbols), h, c, of, "decoder")
            h, c = kept.hidden[-1], kept.cell[-1]
            symbols = (h @ of["affine.W"] + of["affine.b"]).argmax(axis=1)[:, None]
            written.append(symbols)
        return np.concatenate(written, axis=1)

    def _run(self, side: str, symbols: ndarray, h: ndarray | None) -> Kept:
        """Read symbols (N, T) from h (zeros where None) and c = 0."""
        x = self._embed(side, symbols)
        zeros = np.zeros((len(symbols), len(self.parameters[f"{side}.Wh"])), x.dtype)
        return forward(x, zeros if h is None else h, zeros, self.parameters, side)

    def _embed(self, side: str, symbols: ndarray) -> ndarray:
        """(N, T) → (T, N, D)."""
        return self.parameters[f"{side}.embedding"][symbols.T]

    def _embedded(self, side: str, symbols: ndarray, dx: ndarray, into: Arrays) -> None:
        """Write the gradient of an embedding whose rows were read."""
        into[f"{side}.embedding"] = np.zeros_like(self.parameters[f"{side}.embedding"])
        np.add.at(into[f"{side}.embedding"], symbols.T, dx)
