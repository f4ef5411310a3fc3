"""What is set to zero in training: values, words, weights. Each draws from a generator of its own.

What is left is divided by its share, so that nothing is different where nothing is dropped.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Drops(nn.Module):
    """Base of what drops a share of `rate`, in training alone."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None
        self.generators: Sequence[torch.Generator] = ()  # of each model, where several are computed
        self.part = (0, 1)  # which part of a batch this process has, and of how many

    @property
    def is_on(self) -> bool:
        """Whether anything is dropped now."""
        return self.training and self.rate > 0

    def kept(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Draw what is kept (1) and what is not (0), in numbers of the type and place of `like`."""
        if self.generators:
            kept: Tensor = _Kept.apply(like, shape, 1 - self.rate, self.generators)  # type: ignore[no-untyped-call]
            return kept
        if self.generator is None:
            raise RuntimeError("dropout has no generator: call set_generator on the model")
        return _drawn(like, shape, 1 - self.rate, self.generator)

    def kept_of_rows(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Draw what is kept of the rows (N, …) that are here, as in a batch that is here whole."""
        number, parts = self.part
        N, *others = shape
        return self.kept((N * parts, *others), like)[N * number : N * (number + 1)]


class _Kept(torch.autograd.Function):
    """Ones and zeros for each of many models that torch.func.vmap computes, by its generator."""

    @staticmethod
    def forward(
        like: Tensor, shape: Sequence[int], share: float, generators: Sequence[torch.Generator]
    ) -> Tensor:
        raise RuntimeError("models with several generators are computed by vmap alone")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, ...]:
        return (None,) * 4

    @staticmethod
    def vmap(
        info: Any,
        in_dims: Any,
        like: Tensor,
        shape: Sequence[int],
        share: float,
        generators: Sequence[torch.Generator],
    ) -> tuple[Tensor, int]:
        assert info.batch_size == len(generators)
        return torch.stack([_drawn(like, shape, share, of) for of in generators]), 0


def _drawn(like: Tensor, shape: Sequence[int], share: float, generator: torch.Generator) -> Tensor:
    keep = torch.empty(shape, dtype=like.dtype, device=like.device)
    return keep.bernoulli_(share, generator=generator)


class Dropout(Drops):
    """Dropout of values.

    With `variational`, one mask serves all time steps of a sequence (Gal & Ghahramani,
    2016, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks").
    """

    def __init__(self, rate: float, variational: bool = False) -> None:
        super().__init__(rate)
        self.variational = variational

    def forward(self, x: Tensor) -> Tensor:
        """Return x (N, T, D), in training with a share of `rate` set to zero."""
        if not self.is_on:
            return x
        shape = (x.shape[0], 1, x.shape[2]) if self.variational else x.shape
        return x * self.kept_of_rows(shape, x) / (1 - self.rate)


class WordDropout(Drops):
    """Dropout of words: one that is dropped is zero wherever it stands in what is read at once.

    After Gal & Ghahramani, 2016, section 4.2, and Merity et al., 2018, "Regularizing and Optimizing
    LSTM Language Models", section 4.3.
    """

    def forward(self, embedded: Tensor, tokens: Tensor, words: int) -> Tensor:
        """Return embeddings (N, T, D) of tokens (N, T), which are ids of so many words."""
        if not self.is_on:
            return embedded
        return embedded * self.kept((words, 1), embedded)[tokens] / (1 - self.rate)


class WeightDrop(Drops):
    """Dropout of recurrent weights: one mask for all that is read at once.

    After Wan et al., 2013, "Regularization of Neural Networks using DropConnect", and Merity et
    al., 2018, section 2.
    """

    def forward(self, layer: nn.RNNBase) -> dict[str, Tensor]:
        """Return, by name, the weights of a layer that are other ones now."""
        if not self.is_on:
            return {}
        return {
            name: weight * self.kept(weight.shape, weight) / (1 - self.rate)
            for name, weight in layer.named_parameters(recurse=False)
            if name.startswith("weight_hh")
        }


def set_generator(model: nn.Module, generator: torch.Generator | None) -> None:
    """Let all that drops something of `model` draw from `generator`."""
    for drops in drops_of(model):
        drops.generator = generator


def set_generators(model: nn.Module, generators: Sequence[torch.Generator]) -> None:
    """Let all that drops something of `model` draw for many models, each from its generator."""
    for drops in drops_of(model):
        drops.generators = generators


def set_part(model: nn.Module, number: int, parts: int) -> None:
    """Let all that drops something of `model` know which part of each batch it is given."""
    for drops in drops_of(model):
        drops.part = (number, parts)


def drops_of(model: nn.Module) -> Iterator[Drops]:
    """Yield all that drops something of `model`."""
    return (module for module in model.modules() if isinstance(module, Drops))
