"""The parts that every model is made of: embeddings and a stack of recurrent layers.

A *state* is a tuple of tensors (layers, N, H): `(h, c)` for an LSTM, `(h,)` for a GRU
and a simple recurrent net.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from unroll.models.dropout import Dropout, WeightDrop
from unroll.models.recurrence import Plain

State = tuple[Tensor, ...]

Cell = Callable[..., nn.RNNBase]  # makes a layer of an input size and a hidden size

CELLS: dict[str, Cell] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


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
        cell: Cell,
        dropout: float,
        variational_dropout: bool = False,
        skip_connections: bool = False,
        bidirectional: bool = False,
        weight_drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.skip_connections = skip_connections
        self.hidden_size = hidden_size
        self.dropout = Dropout(dropout, variational_dropout)
        self.weight_drop = WeightDrop(weight_drop)
        size = hidden_size // 2 if bidirectional else hidden_size
        self.layers = nn.ModuleList(
            cell(
                hidden_size if layer else input_size,
                size,
                batch_first=True,
                bidirectional=bidirectional,
            )
            for layer in range(layers)
        )
        self.parts = 2 if isinstance(self.layers[0], nn.LSTM) else 1  # of a state

    def forward(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run over x (N, T, D) from `state` (zeros where None).

        With `lengths` (N,), what stands at and after a sequence's length is not read: its
        outputs are zero and the state passes it by.

        Returns:
            The outputs of the top layer (N, T, H), and the state after the last step.
        """
        states = []
        for i, layer in enumerate(self.layers):
            if i:
                x = self.dropout(x)
            weights = self.weight_drop(layer)
            outputs, after = _run(layer, x, _of_layer(state, i), lengths, weights)
            x = outputs + x if i and self.skip_connections else outputs
            states.append([self._join_directions(part) for part in after])
        return x, tuple(torch.cat(parts) for parts in zip(*states, strict=True))

    def _join_directions(self, part: Tensor) -> Tensor:
        """(directions, N, H / directions) → (1, N, H)."""
        return part.transpose(0, 1).reshape(1, -1, self.hidden_size)


def _of_layer(state: State | None, layer: int) -> State | None:
    return None if state is None else tuple(part[layer : layer + 1] for part in state)


def _run(
    layer: nn.Module,
    x: Tensor,
    state: State | None,
    lengths: Tensor | None,
    weights: Mapping[str, Tensor],
) -> tuple[Tensor, State]:
    """Run one layer, some of whose weights may be other ones than its own.

    PyTorch wants and gives a bare tensor where the state is h alone. On a GPU its layers compute in
    float32, also where the rest is in bfloat16: autocast would give them float16, whose smallest
    numbers are larger than many gradients.
    """
    if x.is_cuda and torch.is_autocast_enabled("cuda") and not isinstance(layer, Plain):
        with torch.autocast("cuda", enabled=False):
            before = None if state is None else tuple(part.float() for part in state)
            return _run(layer, x.float(), before, lengths, weights)
    given = state[0] if state is not None and len(state) == 1 else state
    if isinstance(layer, Plain):
        outputs, after = _called(layer, weights, x, given, lengths)
    elif lengths is None or bool((lengths == x.shape[1]).all()):
        outputs, after = _called(layer, weights, x, given)  # kernels for whole batches are faster
    else:
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        found, after = layer(packed, given)
        # In the order of their lengths: to put these back too, PyTorch would wait for a GPU.
        ordered = PackedSequence(found.data, found.batch_sizes)
        outputs, _ = pad_packed_sequence(ordered, batch_first=True, total_length=x.shape[1])
        outputs = outputs.index_select(0, found.unsorted_indices)
    return outputs, after if isinstance(after, tuple) else (after,)


def _called(layer: nn.Module, weights: Mapping[str, Tensor], *given: Any) -> Any:
    return functional_call(layer, dict(weights), given) if weights else layer(*given)
