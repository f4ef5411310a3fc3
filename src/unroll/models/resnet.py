"""Residual nets up to their last feature map, with weights that others have trained.

He et al., 2016, "Deep Residual Learning for Image Recognition". Names and shapes of parameters are
those of the files of torchvision's ResNets, which anyone can have; torchvision itself is not
needed (its usual build refuses a PyTorch for CPUs alone).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from unroll.errors import DataError, first_line

# What the nets were trained to see: red, green and blue of a share of 255, less the first, divided
# by the second.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Shape(NamedTuple):
    """The number of blocks in each of four layers, and whether a block is a bottleneck."""

    blocks: tuple[int, int, int, int]
    deep: bool


NETS = {
    "resnet18": Shape((2, 2, 2, 2), deep=False),
    "resnet34": Shape((3, 4, 6, 3), deep=False),
    "resnet50": Shape((3, 4, 6, 3), deep=True),
    "resnet101": Shape((3, 4, 23, 3), deep=True),
    "resnet152": Shape((3, 8, 36, 3), deep=True),
}


class Block(nn.Module):
    """Convolutions beside a shortcut: two of 3 × 3, or one between two of 1 × 1."""

    def __init__(self, before: int, width: int, stride: int, deep: bool) -> None:
        super().__init__()
        after = 4 * width if deep else width
        sizes = (
            [(1, 1, width), (3, stride, width), (1, 1, after)]
            if deep
            else [(3, stride, width), (3, 1, width)]
        )
        self.convolutions = len(sizes)
        channels = before
        for i, (side, step, made) in enumerate(sizes, 1):
            self.add_module(f"conv{i}", _convolution(channels, made, side, step))
            self.add_module(f"bn{i}", nn.BatchNorm2d(made))
            channels = made
        self.downsample = (
            nn.Sequential(_convolution(before, after, 1, stride), nn.BatchNorm2d(after))
            if stride != 1 or before != after
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, S, S) → (N, after, S / stride, S / stride)."""
        shortcut = self.downsample(x)
        for i in range(1, self.convolutions + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            x = (x if i < self.convolutions else x + shortcut).relu()
        return x


class ResNet(nn.Module):
    """A residual net that has learned elsewhere: nothing of it is trained, nor does it drop out."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        shape = NETS[name]
        self.conv1, self.bn1 = _convolution(3, 64, 7, 2), nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for layer, blocks in enumerate(shape.blocks):
            width = 64 * 2**layer
            made = []
            for block in range(blocks):
                stride = 2 if layer and not block else 1
                made.append(Block(channels, width, stride, shape.deep))
                channels = 4 * width if shape.deep else width
            self.add_module(f"layer{layer + 1}", nn.Sequential(*made))
        self.channels = channels
        for of, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(of, torch.tensor(values)[:, None, None], persistent=False)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "ResNet":
        """Stay as it is: its norms keep what they have learned."""
        return super().train(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S), bytes from 0 to 255 → (N, C, S / 32, S / 32), rounded up."""
        x = (pixels.to(self.conv1.weight.dtype) / 255 - self.mean) / self.deviation
        x = self.pool(self.bn1(self.conv1(x)).relu())
        for layer in range(1, 5):
            x = getattr(self, f"layer{layer}")(x)
        assert isinstance(x, Tensor)
        return x

    @torch.no_grad()
    def take(self, weights: np.ndarray) -> None:
        """Take weights that `read_weights` has found.

        Raises:
            DataError: there are too many or too few.
        """
        values = torch.from_numpy(np.array(weights).view(np.float32))
        state = _used(self.state_dict())
        if len(values) != sum(tensor.numel() for tensor in state.values()):
            raise DataError("the weights of the pretrained encoder are those of another net")
        for tensor in state.values():
            tensor.copy_(values[: tensor.numel()].view(tensor.shape))
            values = values[tensor.numel() :]


def read_weights(path: Path) -> tuple[str, np.ndarray]:
    """Return which net a file of weights is of, and its numbers (float32, as bytes) in its order.

    Raises:
        DataError: it is missing, damaged, or holds no ResNet.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)  # nothing of it is run
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; it is to hold weights of a ResNet") from None
    except Exception as error:  # PyTorch's reader ends in many ways where a file is damaged
        raise DataError(f"{path} holds no weights of PyTorch: {first_line(error)}") from None
    state = _used(found) if isinstance(found, Mapping) else {}
    for name in NETS:
        with torch.device("meta"):
            wanted = _used(ResNet(name).state_dict())
        if wanted.keys() == state.keys():
            break
    else:
        raise DataError(f"{path} holds none of these nets: {', '.join(NETS)}")
    for key, tensor in wanted.items():
        if state[key].shape != tensor.shape or not state[key].is_floating_point():
            raise DataError(f"{path}: {key} is not of the shape {tuple(tensor.shape)}")
    if not all(tensor.isfinite().all() for tensor in state.values()):
        raise DataError(f"{path}: some of its weights are no finite numbers")
    return name, numbers_of({key: state[key] for key in wanted})


def numbers_of(state: Mapping[str, Tensor]) -> np.ndarray:
    """Return the weights of a net in their order: float32, as bytes."""
    numbers = torch.cat([tensor.detach().float().flatten() for tensor in _used(state).values()])
    return numbers.numpy().view(np.uint8)


def _used(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    names = [str(name) for name in state]
    kept = [n for n in names if not n.startswith("fc.") and not n.endswith("num_batches_tracked")]
    return {name: state[name] for name in kept if isinstance(state.get(name), Tensor)}


def _convolution(before: int, after: int, side: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, side, stride, padding=side // 2, bias=False)
