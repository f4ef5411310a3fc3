"""The parts that every model is made of: dropout and a stack of recurrent layers.

A *state* is a tuple of tensors (layers, N, H): `(h, c)` for an LSTM, `(h,)` for a GRU
and a simple recurrent net.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

State = tuple[Tensor, ...]

CELLS: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class OneHot(nn.Module):
    """A symbol as a vector of zeros with a one in its place: nothing is learned of it."""

    one: Tensor

    def __init__(self, symbols: int, size: int) -> None:
        super().__init__()
        self.embedding_dim = symbols
        self.register_buffer("one", torch.ones(()), persistent=False)  # of the model's precision

    def forward(self, symbols: Tensor) -> Tensor:
        """(N, T) → (N, T, V)."""
        return F.one_hot(symbols, self.embedding_dim) * self.one


EMBEDDINGS: dict[str, type[nn.Embedding] | type[OneHot]] = {
    "learned": nn.Embedding,
    "one_hot": OneHot,
}


class Dropout(nn.Module):
    """Dropout that draws from a generator of its own.

    With `variational`, one mask serves all time steps of a sequence (Gal & Ghahramani,
    2016, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks").
    """

    def __init__(self, rate: float, variational: bool = False) -> None:
        super().__init__()
        self.rate, self.variational = rate, variational
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return x (N, T, D), in training with a share of `rate` set to zero."""
        if not self.training or self.rate == 0:
            return x
        if self.generator is None:
            raise RuntimeError("dropout has no generator: call set_generator on the model")
        shape = (x.shape[0], 1, x.shape[2]) if self.variational else x.shape
        keep = torch.empty(shape, dtype=x.dtype, device=x.device)
        keep.bernoulli_(1 - self.rate, generator=self.generator)
        return x * keep / (1 - self.rate)


def set_generator(model: nn.Module, generator: torch.Generator) -> None:
    """Let every dropout of `model` draw from `generator`."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = generator


def at_least_float32(x: Tensor) -> Tensor:
    """Return x in float32, or in float64 where it is: a softmax wants no less."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class RecurrentStack(nn.Module):
    """Recurrent layers on top of each other, with dropout between them.

    A bidirectional stack has two directions of half the size, so that its outputs and
    its state have the shapes of a stack that reads in one direction. With
    `skip_connections`, each layer above the first adds its input to its output.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        layers: int,
        cell: str,
        dropout: float,
        variational_dropout: bool = False,
        skip_connections: bool = False,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.skip_connections = skip_connections
        self.hidden_size, self.parts = hidden_size, 2 if cell == "lstm" else 1
        self.dropout = Dropout(dropout, variational_dropout)
        size = hidden_size // 2 if bidirectional else hidden_size
        self.layers = nn.ModuleList(
            CELLS[cell](
                hidden_size if layer else input_size,
                size,
                batch_first=True,
                bidirectional=bidirectional,
            )
            for layer in range(layers)
        )

    def forward(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run over x (N, T, D) from `state` (zeros where None).

        With `lengths` (N,), what stands at and after a sequence's length is not read: its
        outputs are zero and the state passes it by.

        Returns:
            The outputs of the top layer (N, T, H), and the state after the last step.
        """
        if lengths is not None and bool((lengths == x.shape[1]).all()):
            lengths = None  # nothing is filled: the kernels for whole batches are faster
        states = []
        for i, layer in enumerate(self.layers):
            if i:
                x = self.dropout(x)
            outputs, after = _run(layer, x, _of_layer(state, i), lengths)
            x = outputs + x if i and self.skip_connections else outputs
            states.append([self._join_directions(part) for part in after])
        return x, tuple(torch.cat(parts) for parts in zip(*states, strict=True))

    def _join_directions(self, part: Tensor) -> Tensor:
        """(directions, N, H / directions) → (1, N, H)."""
        return part.transpose(0, 1).reshape(1, -1, self.hidden_size)


def _of_layer(state: State | None, layer: int) -> State | None:
    return None if state is None else tuple(part[layer : layer + 1] for part in state)


def _run(
    layer: nn.Module, x: Tensor, state: State | None, lengths: Tensor | None
) -> tuple[Tensor, State]:
    """Run one layer; PyTorch wants and gives a bare tensor where the state is h alone."""
    given = state[0] if state is not None and len(state) == 1 else state
    if lengths is None:
        outputs, after = layer(x, given)
    else:
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        packed_outputs, after = layer(packed, given)
        outputs, _ = pad_packed_sequence(packed_outputs, batch_first=True, total_length=x.shape[1])
    return outputs, after if isinstance(after, tuple) else (after,)
