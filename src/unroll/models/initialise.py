"""How a model's parameters are drawn before training.

Each parameter has a generator of its own, named after it: with the same seed, variants
begin with the same numbers wherever their layers' shapes agree. Numbers are drawn in float64,
which gives the same on every processor, and rounded to the model's precision.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from unroll.seeds import torch_generator

DRAWN = (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_)  # by PyTorch's own layers
LAYERS = (nn.Embedding, nn.Linear, nn.Conv2d, nn.RNNBase)


def freeze(model: nn.Module, scheme: str) -> None:
    """Take out of training what a scheme does not train: nothing is drawn.

    PyTorch's recurrent layers have two biases per gate, which are added to each other. `book` has
    one: the second stays zero.
    """
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            for key, parameter in module.named_parameters(recurse=False):
                if key.startswith("bias_hh"):
                    parameter.requires_grad_(scheme != "book")


@contextlib.contextmanager
def shapes_alone() -> Iterator[None]:
    """Build models whose parameters have shapes and nothing else: no memory, no numbers."""
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Draws nothing. PyTorch would import its compiler, for seconds, to draw what has no memory."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        return kwargs["tensor"] if func in DRAWN else func(*args, **kwargs)


def initialise(model: nn.Module, scheme: str, seed: int) -> None:
    """Draw all parameters of `model`, which lies on the CPU.

    A matrix that embedding and affine layer share is drawn as an embedding
    by `book`, as an affine layer by the others.

    `book`: embeddings N(0, 0.01²), all other matrices N(0, 1 / fan_in), biases zero.

    `default`: PyTorch's: embeddings N(0, 1), recurrent layers uniform in ±1/√H, affine
    and convolutional layers uniform in ±1/√fan_in.

    `small`: all matrices N(0, 0.01²), biases zero.
    """
    draw = {"book": _book, "default": _default, "small": _small}[scheme]
    last = nn.Embedding if scheme == "book" else nn.Linear
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, LAYERS)]
    with torch.no_grad():
        # A shared matrix is met twice, and the last draw stays.
        for name, module in sorted(layers, key=lambda layer: isinstance(layer[1], last)):
            for key, parameter in module.named_parameters(recurse=False):
                drawn = torch.empty(parameter.shape, dtype=torch.float64)
                draw(module, key, drawn, torch_generator(seed, "init", f"{name}.{key}"))
                parameter.copy_(drawn)


def _book(module: nn.Module, key: str, drawn: Tensor, generator: torch.Generator) -> None:
    if key.startswith("bias"):
        drawn.zero_()
    elif isinstance(module, nn.Embedding):
        drawn.normal_(0, 0.01, generator=generator)
    else:
        drawn.normal_(0, 1 / math.sqrt(drawn[0].numel()), generator=generator)


def _small(module: nn.Module, key: str, drawn: Tensor, generator: torch.Generator) -> None:
    if key.startswith("bias"):
        drawn.zero_()
    else:
        drawn.normal_(0, 0.01, generator=generator)


def _default(module: nn.Module, key: str, drawn: Tensor, generator: torch.Generator) -> None:
    if isinstance(module, nn.Embedding):
        drawn.normal_(generator=generator)
        return
    assert isinstance(module, nn.Linear | nn.Conv2d | nn.RNNBase)
    fan_in = module.hidden_size if isinstance(module, nn.RNNBase) else module.weight[0].numel()
    bound = 1 / math.sqrt(fan_in)
    drawn.uniform_(-bound, bound, generator=generator)
