"""The encoder of pictures: a small convolutional net in place of the recurrent one.

Its feature map is flattened and goes through an affine layer into the decoder's state, and each
place of it is something that attention can look at (Vinyals et al., 2015, "Show and Tell"; Xu et
al., 2015, "Show, Attend and Tell").
"""

import math

import torch
from torch import Tensor, nn

from unroll.models.encoder import Memory
from unroll.models.layers import Dropout, State
from unroll.options import CaptionsOptions

CHANNELS = (32, 64, 64)  # of the layers, each of which halves width and height
PARTS = {"lstm": 2, "gru": 1, "rnn": 1}  # of a state


class PictureEncoder(nn.Module):
    """Convolutions of 3 × 3, each with a stride of 2, over a picture (3, S, S)."""

    def __init__(self, options: CaptionsOptions, size: int) -> None:
        super().__init__()
        H, self.state_shape = options.hidden_size, (PARTS[options.cell], options.layers)
        widths = [3, *CHANNELS]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1)
            for before, after in zip(widths, CHANNELS, strict=False)
        )
        side = size
        for _ in CHANNELS:
            side = (side + 1) // 2
        self.side = side  # width and height of the feature map
        self.dropout = Dropout(options.dropout)
        self.place = nn.Linear(CHANNELS[-1], H)
        self.whole = nn.Linear(H * side**2, math.prod(self.state_shape) * H)

    def forward(self, pixels: Tensor, lengths: Tensor | None = None) -> tuple[Memory, State]:
        """Read pictures (N, 3, S, S), bytes from 0 to 255: what they mean is the model's own.

        Returns:
            The memory, with a state for each place of the feature map, row by row, and a summary;
            and the decoder's first state: tensors (layers, N, H).
        """
        x = pixels.to(self.place.weight.dtype) / 127.5 - 1  # from -1 to 1
        for convolution in self.convolutions:
            x = convolution(x).relu()
        places = self.place(x.flatten(2).transpose(1, 2)).tanh()  # (N, places, H)
        whole = self.whole(self.dropout(places.flatten(1)[:, None]).squeeze(1)).tanh()
        state = whole.view(len(x), *self.state_shape, self.place.out_features)
        parts = tuple(part.transpose(0, 1).contiguous() for part in state.unbind(1))
        positions = torch.arange(places.shape[1], device=x.device).expand(len(x), -1)
        return Memory(places, parts[0][-1], None, positions), parts
