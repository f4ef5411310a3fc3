"""Dynamic evaluation: the model goes on learning from the text that it has just predicted.

Krause et al., 2018, "Dynamic Evaluation of Neural Sequence Models": each segment is predicted first
and then learned from, by gradient descent with a decay towards the weights as they were trained.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from unroll.evaluation.methods.method import Method, Setting
from unroll.evaluation.reading import windows
from unroll.models.dropout import drops_of
from unroll.models.language_model import LanguageModel
from unroll.models.layers import State, at_least_float32

SEGMENT = 5  # tokens that are predicted before they are learned from
SMALLEST = 1e-4  # added to the root mean square of a gradient, of the mean one of all
SEEN = 20_000  # tokens of train of which the gradients are measured
OF_TRAIN = 20  # tokens at once


class Dynamic(Method):
    """Weights move by gradient descent (section 3, equation 4)."""

    name = "dynamic"
    settings = tuple(
        {"rate": rate, "decay": decay}
        for rate, decay in product((0.01, 0.03, 0.1, 0.3, 1.0), (0.0, 0.002))
    )

    def losses(
        self, model: LanguageModel, tokens: Tensor, eos: int, settings: Sequence[Setting]
    ) -> list[Tensor]:
        """Return the losses with each rate and decay."""
        return [self._learning(model, tokens, eos, setting) for setting in settings]

    def _learning(self, model: LanguageModel, tokens: Tensor, eos: int, setting: Setting) -> Tensor:
        state: State | None = None
        found = []
        with restored(model) as trained:
            for read, expected in windows(model, tokens, eos, SEGMENT):
                logits, after = model(read, state)
                losses = F.cross_entropy(at_least_float32(logits[0]), expected, reduction="none")
                found.append(losses.detach().cpu().double())
                self._move(trained, torch.autograd.grad(losses.mean(), list(trained)), setting)
                state = tuple(part.detach() for part in after)
        return torch.cat(found)

    @torch.no_grad()
    def _move(
        self, trained: dict[Tensor, Tensor], gradients: Sequence[Tensor], setting: Setting
    ) -> None:
        """Go a step down the gradients, and a part of the way back to the trained weights."""
        for (weight, before), gradient in zip(trained.items(), gradients, strict=True):
            weight.lerp_(before, setting["decay"])
            weight.sub_(gradient, alpha=setting["rate"])


class DynamicRms(Dynamic):
    """Weights move by gradients over their size in train, which also sets how fast they return.

    Section 4 of the paper, equations 5 and 6: what moved much in training moves less now.
    """

    name = "dynamic_rms"
    settings = tuple(
        {"rate": rate, "decay": decay}
        for rate, decay in product((3e-5, 1e-4, 3e-4, 1e-3), (0.0, 0.02))
    )

    def __init__(self) -> None:
        self.sizes: list[Tensor] = []  # the root mean square of the gradient of each weight
        self.mean = 0.0  # of all of them

    def prepare(self, model: LanguageModel, train: Tensor, eos: int) -> None:
        """Measure the gradients on the beginning of the training text."""
        _listen(model)
        weights = _weights(model)
        squares, count = [torch.zeros_like(weight) for weight in weights], 0
        state: State | None = None
        for read, expected in windows(model, train[:SEEN], eos, OF_TRAIN):
            logits, after = model(read, state)
            loss = F.cross_entropy(at_least_float32(logits[0]), expected)
            for total, gradient in zip(squares, torch.autograd.grad(loss, weights), strict=True):
                total.addcmul_(gradient, gradient)
            state, count = tuple(part.detach() for part in after), count + 1
        model.eval()
        self.sizes = [(total / count).sqrt() for total in squares]
        number = sum(map(Tensor.numel, self.sizes))
        self.mean = sum(float(size.sum()) for size in self.sizes) / number

    @torch.no_grad()
    def _move(
        self, trained: dict[Tensor, Tensor], gradients: Sequence[Tensor], setting: Setting
    ) -> None:
        for (weight, before), gradient, size in zip(
            trained.items(), gradients, self.sizes, strict=True
        ):
            back = (setting["decay"] * size / self.mean).clamp_max(1.0)
            weight.lerp_(before, back)
            weight.addcdiv_(gradient, size + SMALLEST * self.mean, value=-setting["rate"])


def _listen(model: LanguageModel) -> None:
    """Let a model learn with nothing dropped: cuDNN's recurrent layers learn in training alone."""
    model.train()
    for drops in drops_of(model):
        drops.eval()


def _weights(model: LanguageModel) -> list[Tensor]:
    return [p for p in model.parameters() if p.requires_grad]


@contextmanager
def restored(model: LanguageModel) -> Iterator[dict[Tensor, Tensor]]:
    """Yield each weight with a copy of it as it was trained; afterwards they are so again."""
    trained = {weight: weight.detach().clone() for weight in _weights(model)}
    _listen(model)
    try:
        yield trained
    finally:
        model.eval()
        with torch.no_grad():
            for weight, before in trained.items():
                weight.copy_(before)
