"""The recurrence by its equations, step by step, for cells that PyTorch's kernels do not have."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainLSTM(nn.LSTM):
    """One layer of nn.LSTM, with its parameters and its results, as a loop over time."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def forward(  # type: ignore[override]
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run over x (N, T, D) from a state (1, N, H) twice, h and c, zeros where None."""
        if state is None:
            h = c = x.new_zeros(len(x), self.hidden_size)
        else:
            h, c = (part[0] for part in state)
        outputs = []
        for step in x.unbind(dim=1):
            h, c = self.step(step, h, c)
            outputs.append(h)
        return torch.stack(outputs, dim=1), (h[None], c[None])

    def step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return h and c (N, H) after reading x (N, D) (Hochreiter & Schmidhuber, 1997)."""
        gates = F.linear(x, self.weight_ih_l0, self.bias_ih_l0)
        gates = gates + F.linear(h, self.weight_hh_l0, self.bias_hh_l0)
        i, f, g, o = gates.chunk(4, dim=1)  # input, forget, candidate, output
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
