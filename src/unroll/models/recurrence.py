"""Recurrent layers by their equations, step by step.

PyTorch's own are faster. These are for cells that it does not have, and for many models at once
(training/stacked.py), which its kernels cannot run.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.models.padding import before, reverse

Parts = tuple[Tensor, ...]  # of a state at one step: h, or h and c, each (N, H)


class Plain(nn.RNNBase):
    """A layer of PyTorch's, with its parameters and its results, as a loop over time."""

    parts = 1  # of a state

    def forward(
        self, x: Tensor, state: Tensor | Parts | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor | Parts]:
        """Run over x (N, T, D) from a state of parts (ways, N, H), zeros where None.

        With `lengths` (N,), what stands at and after a sequence's length is not read: its outputs
        are zero and the state passes it by.
        """
        ways = ["", "_reverse"] if self.bidirectional else [""]
        if state is None:
            state = (x.new_zeros(len(ways), len(x), self.hidden_size),) * self.parts
        given = state if isinstance(state, tuple) else (state,)
        outputs, after = [], []
        for number, way in enumerate(ways):
            read = reverse(x, lengths) if way else x
            found, last = self._run(read, tuple(part[number] for part in given), lengths, way)
            outputs.append(reverse(found, lengths) if way else found)
            after.append(last)
        both = tuple(torch.stack(parts) for parts in zip(*after, strict=True))
        return torch.cat(outputs, dim=2), both if self.parts > 1 else both[0]

    def _run(
        self, x: Tensor, state: Parts, lengths: Tensor | None, way: str
    ) -> tuple[Tensor, Parts]:
        read, outputs = self.read(x, way), []
        present = None if lengths is None else before(lengths.to(x.device), x.shape[1])
        for number, step in enumerate(read.unbind(dim=1)):
            after = self.step(step, state, way)
            if present is None:
                state = after
                outputs.append(state[0])
            else:
                here = present[:, number, None]
                state = tuple(torch.where(here, *pair) for pair in zip(after, state, strict=True))
                outputs.append(torch.where(here, state[0], 0.0))
        return torch.stack(outputs, dim=1), state

    def read(self, x: Tensor, way: str) -> Tensor:
        """Return what steps read (N, T, G · H) of an input (N, T, D): its part of the gates."""
        return self._affine("ih", x, way)

    def step(self, read: Tensor, state: Parts, way: str) -> Parts:
        """Return the state after one step, of which (N, G · H) was read."""
        raise NotImplementedError

    def _affine(self, of: str, x: Tensor, way: str) -> Tensor:
        """Return the affine map of the input (`ih`) or of the state (`hh`)."""
        weight, bias = (getattr(self, f"{name}_{of}_l0{way}") for name in ("weight", "bias"))
        return F.linear(x, weight, bias)


class PlainRNN(Plain, nn.RNN):  # type: ignore[misc]
    """The simple recurrent net (Elman, 1990)."""

    def step(self, read: Tensor, state: Parts, way: str) -> Parts:
        """Return h after one step."""
        return ((read + self._affine("hh", state[0], way)).tanh(),)


class PlainGRU(Plain, nn.GRU):  # type: ignore[misc]
    """The GRU (Cho et al., 2014), its reset gate behind the product, as PyTorch has it."""

    def step(self, read: Tensor, state: Parts, way: str) -> Parts:
        """Return h after one step."""
        (h,) = state
        r, z, n = read.chunk(3, dim=1)  # reset, update, candidate
        from_r, from_z, from_n = self._affine("hh", h, way).chunk(3, dim=1)
        n = (n + (r + from_r).sigmoid() * from_n).tanh()
        return (n + (z + from_z).sigmoid() * (h - n),)


class PlainLSTM(Plain, nn.LSTM):  # type: ignore[misc]
    """The LSTM (Hochreiter & Schmidhuber, 1997; its forget gate: Gers et al., 2000)."""

    parts = 2

    def step(self, read: Tensor, state: Parts, way: str) -> Parts:
        """Return h and c after one step."""
        h, c = state
        i, f, g, o = (read + self._affine("hh", h, way)).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()  # g: the candidate
        return o.sigmoid() * c.tanh(), c


PLAIN: dict[type[nn.RNNBase], type[Plain]] = {
    nn.RNN: PlainRNN, nn.GRU: PlainGRU, nn.LSTM: PlainLSTM,
}  # fmt: skip


class Fast(nn.Module):
    """A module with a fast way to compute one model, and one by equations for any number."""

    def by_equations(self) -> None:
        """Compute by equations from now on."""


def by_equations(model: nn.Module) -> None:
    """Let all of a model be computed by equations, the parameters kept."""
    for module in model.modules():
        if isinstance(module, Fast):
            module.by_equations()
        elif plain := PLAIN.get(type(module)):  # type: ignore[arg-type]
            module.__class__ = plain
