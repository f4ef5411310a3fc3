"""Encoders of pictures: a convolutional net in place of the recurrent one.

Its feature map is flattened and goes through an affine layer into the decoder's state, and each
place of it is something that attention can look at (Vinyals et al., 2015, "Show and Tell"; Xu et
al., 2015, "Show, Attend and Tell").
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unroll.data.captioned import CaptionedForm
from unroll.errors import UserError
from unroll.models.dropout import Dropout
from unroll.models.encoder import Memory
from unroll.models.layers import State
from unroll.models.resnet import ResNet
from unroll.options import CaptionsOptions

CHANNELS = (16, 64)  # of the first layer, and at most: each further one has twice those before
SIDE = 8  # width and height of the feature map, at most
GROUPS = 8  # of channels, that are normalised together (Wu and He, 2018, "Group Normalization")
NARROW = 8  # numbers of each place in the flattened map
PARTS = {"lstm": 2, "gru": 1, "rnn": 1}  # of a state


class PictureEncoder(nn.Module):
    """Convolutions of 3 × 3 over a picture (3, S, S).

    The first is as fine as the picture, for a shape is told by its edges; each further one has a
    stride of 2, until the feature map is no wider than SIDE.
    """

    def __init__(self, options: CaptionsOptions, form: CaptionedForm) -> None:
        super().__init__()
        H, parts = options.hidden_size, 1 if options.bridge == "hidden" else PARTS[options.cell]
        self.state_shape, self.missing = (parts, options.layers), PARTS[options.cell] - parts
        channels, side = self.build(form)
        self.dropout = Dropout(options.dropout)
        self.place = nn.Linear(channels, H)
        self.narrow = nn.Linear(H, NARROW)
        self.whole = nn.Linear(NARROW * side**2, math.prod(self.state_shape) * H)

    def build(self, form: CaptionedForm) -> tuple[int, int]:
        """Make the net; return the channels of its feature map, and its width and height."""
        channels, side = CHANNELS[0], form.size
        self.convolutions = nn.ModuleList([nn.Conv2d(3 + 2, channels, 3, padding=1)])
        # Each picture by itself, so that none depends on which others are read with it.
        self.norms = nn.ModuleList([nn.GroupNorm(GROUPS, channels)])
        while side > SIDE:
            before, channels, side = channels, min(2 * channels, CHANNELS[1]), (side + 1) // 2
            self.convolutions.append(nn.Conv2d(before, channels, 3, stride=2, padding=1))
            self.norms.append(nn.GroupNorm(GROUPS, channels))
        return channels, side

    def features(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) → the feature map (N, C, side, side)."""
        x = _with_places(pixels.to(self.place.weight.dtype) / 127.5 - 1)  # from -1 to 1
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolution(x)).relu()
        return x

    def forward(self, pixels: Tensor, lengths: Tensor | None = None) -> tuple[Memory, State]:
        """Read pictures (N, 3, S, S), bytes from 0 to 255: what they mean is the model's own.

        Returns:
            The memory, with a state for each place of the feature map, row by row, and a summary;
            and the decoder's first state: tensors (layers, N, H).
        """
        features = self.features(pixels).flatten(2).transpose(1, 2)
        places = self.place(features).tanh()  # (N, places, H)
        flat = self.narrow(places).flatten(1)
        # As they are, pictures differ so little here that a state alone would never learn them.
        flat = F.layer_norm(flat, flat.shape[1:])
        whole = self.whole(self.dropout(flat[:, None]).squeeze(1)).tanh()
        state = whole.view(len(pixels), *self.state_shape, self.place.out_features)
        state = F.pad(state, (0, 0, 0, 0, 0, self.missing))  # the c that a bridge of h leaves 0
        parts = tuple(part.transpose(0, 1).contiguous() for part in state.unbind(1))
        positions = torch.arange(places.shape[1], device=places.device).expand(len(pixels), -1)
        return Memory(places, parts[0][-1], None, positions), parts


class PretrainedEncoder(PictureEncoder):
    """A net that has learned elsewhere to tell pictures apart; only what follows it is trained."""

    def build(self, form: CaptionedForm) -> tuple[int, int]:
        """Make the net of which the data have the weights.

        Raises:
            UserError: they have none.
        """
        if form.net is None:
            raise UserError("encoder: the task has no pretrained one; name its file as `weights`")
        self.net = ResNet(form.net)
        return self.net.channels, -(-form.size // 32)  # rounded up

    def features(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) → the feature map (N, C, side, side)."""
        with torch.no_grad():
            features: Tensor = self.net(pixels)
        return features


ENCODERS = {"small": PictureEncoder, "pretrained": PretrainedEncoder}


def _with_places(x: Tensor) -> Tensor:
    """(N, 3, S, S) → (N, 5, S, S), with where each point is, from -1 to 1.

    Convolutions know of no place: "left of" could be told by the borders alone (Liu et al., 2018,
    "An Intriguing Failing of Convolutional Neural Networks and the CoordConv Solution").
    """
    N, _, S, _ = x.shape
    steps = torch.linspace(-1, 1, S, dtype=x.dtype, device=x.device)
    across, down = steps.expand(S, S), steps[:, None].expand(S, S)
    return torch.cat([x, torch.stack([across, down]).expand(N, -1, -1, -1)], dim=1)
