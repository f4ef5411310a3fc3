"""The encoder of pictures: a small convolutional net in place of the recurrent one.

Its feature map is flattened and goes through an affine layer into the decoder's state, and each
place of it is something that attention can look at (Vinyals et al., 2015, "Show and Tell"; Xu et
al., 2015, "Show, Attend and Tell").
"""

import math

import torch
from torch import Tensor, nn

from unroll.models.dropout import Dropout
from unroll.models.encoder import Memory
from unroll.models.layers import State
from unroll.options import CaptionsOptions

CHANNELS = (32, 64, 64)  # of the layers, each of which halves width and height
GROUPS = 8  # of channels, that are normalised together (Wu and He, 2018, "Group Normalization")
NARROW = 16  # numbers of each place in the flattened map
PARTS = {"lstm": 2, "gru": 1, "rnn": 1}  # of a state


class PictureEncoder(nn.Module):
    """Convolutions of 3 × 3, each with a stride of 2, over a picture (3, S, S)."""

    def __init__(self, options: CaptionsOptions, size: int) -> None:
        super().__init__()
        H, self.state_shape = options.hidden_size, (PARTS[options.cell], options.layers)
        widths = [3 + 2, *CHANNELS]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1)
            for before, after in zip(widths, CHANNELS, strict=False)
        )
        # Each picture by itself, so that none depends on which others are read with it.
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, after) for after in CHANNELS)
        side = size
        for _ in CHANNELS:
            side = (side + 1) // 2
        self.side = side  # width and height of the feature map
        self.dropout = Dropout(options.dropout)
        self.place = nn.Linear(CHANNELS[-1], H)
        self.narrow = nn.Linear(H, NARROW)
        self.whole = nn.Linear(NARROW * side**2, math.prod(self.state_shape) * H)

    def forward(self, pixels: Tensor, lengths: Tensor | None = None) -> tuple[Memory, State]:
        """Read pictures (N, 3, S, S), bytes from 0 to 255: what they mean is the model's own.

        Returns:
            The memory, with a state for each place of the feature map, row by row, and a summary;
            and the decoder's first state: tensors (layers, N, H).
        """
        x = _with_places(pixels.to(self.place.weight.dtype) / 127.5 - 1)  # from -1 to 1
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolution(x)).relu()
        places = self.place(x.flatten(2).transpose(1, 2)).tanh()  # (N, places, H)
        flat = self.dropout(self.narrow(places).flatten(1)[:, None]).squeeze(1)
        whole = self.whole(flat).tanh()
        state = whole.view(len(x), *self.state_shape, self.place.out_features)
        parts = tuple(part.transpose(0, 1).contiguous() for part in state.unbind(1))
        positions = torch.arange(places.shape[1], device=x.device).expand(len(x), -1)
        return Memory(places, parts[0][-1], None, positions), parts


def _with_places(x: Tensor) -> Tensor:
    """(N, 3, S, S) → (N, 5, S, S), with where each point is, from -1 to 1.

    Convolutions know of no place: "left of" could be told by the borders alone (Liu et al., 2018,
    "An Intriguing Failing of Convolutional Neural Networks and the CoordConv Solution").
    """
    N, _, S, _ = x.shape
    steps = torch.linspace(-1, 1, S, dtype=x.dtype, device=x.device)
    across, down = steps.expand(S, S), steps[:, None].expand(S, S)
    return torch.cat([x, torch.stack([across, down]).expand(N, -1, -1, -1)], dim=1)
