"""How a model's parameters are drawn before training.

Each parameter has a generator of its own, named after it: with the same seed, variants
begin with the same numbers wherever their layers' shapes agree.
"""

import math

import torch
from torch import nn

from unroll.seeds import torch_generator


def initialise(model: nn.Module, scheme: str, seed: int) -> None:
    """Draw all parameters of `model`, which lies on the CPU.

    A matrix that embedding and affine layer share is drawn as an embedding
    by `book`, as an affine layer by `default`.

    `book`: embeddings N(0, 0.01²), all other matrices N(0, 1 / fan_in), one bias per gate,
    all zero. PyTorch's recurrent layers have two biases per gate, which are added to each
    other: the second stays zero and is not trained.

    `default`: PyTorch's: embeddings N(0, 1), recurrent layers uniform in ±1/√H, affine
    layers uniform in ±1/√fan_in.
    """
    draw = {"book": _book, "default": _default}[scheme]
    last = {"book": nn.Embedding, "default": nn.Linear}[scheme]
    layers = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, (nn.Embedding, nn.Linear, nn.RNNBase))
    ]
    with torch.no_grad():
        # A shared matrix is met twice, and the last draw stays.
        for name, module in sorted(layers, key=lambda layer: isinstance(layer[1], last)):
            for key, parameter in module.named_parameters(recurse=False):
                draw(module, key, parameter, torch_generator(seed, "init", f"{name}.{key}"))


def _book(module: nn.Module, key: str, parameter: nn.Parameter, generator: torch.Generator) -> None:
    if key.startswith("bias"):
        parameter.zero_()
        parameter.requires_grad_(not key.startswith("bias_hh"))
    elif isinstance(module, nn.Embedding):
        parameter.normal_(0, 0.01, generator=generator)
    else:
        parameter.normal_(0, 1 / math.sqrt(parameter.shape[1]), generator=generator)


def _default(
    module: nn.Module, key: str, parameter: nn.Parameter, generator: torch.Generator
) -> None:
    if isinstance(module, nn.Embedding):
        parameter.normal_(generator=generator)
        return
    assert isinstance(module, nn.Linear | nn.RNNBase)
    bound = 1 / math.sqrt(
        module.in_features if isinstance(module, nn.Linear) else module.hidden_size
    )
    parameter.uniform_(-bound, bound, generator=generator)
