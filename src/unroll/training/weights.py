"""Which weights a training ends with: the last ones, the best ones, or a mean of many.

A mean of the weights of many steps lies nearer to the minimum around which they go (Polyak &
Juditsky, 1992, "Acceleration of Stochastic Approximation by Averaging"). It is what is validated
as soon as there is one, while the steps go on from the weights themselves.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from unroll.options import VariantOptions
from unroll.training.checkpoint import Unfit

PATIENCE = 5  # epochs of no improvement after which average_on_plateau begins


class Last:
    """The last weights: nothing is kept.

    `validations` are, as for schedules, a number for each epoch that has ended, lower being better.
    """

    def __init__(self, model: nn.Module, options: VariantOptions) -> None:
        self.parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.options = options

    def after_step(self, validations: Sequence[float]) -> None:
        """Note the weights after a step."""

    def after_epoch(self, validations: Sequence[float]) -> None:
        """Note the weights after an epoch that was validated."""

    @contextmanager
    def validated(self) -> Iterator[None]:
        """Give the model those weights that are validated, for as long as that takes."""
        yield

    def end(self) -> None:
        """Give the model the weights with which the training ends."""

    def state(self) -> dict[str, Tensor]:
        """Return what is kept."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor], validations: Sequence[float]) -> None:
        """Take over what `state` returned.

        Raises:
            Unfit: it is not of such a training.
        """
        if tensors:
            raise Unfit("it keeps weights that this training does not")


class _Kept(Last):
    """Weights that are kept beside those that are trained."""

    def __init__(self, model: nn.Module, options: VariantOptions) -> None:
        super().__init__(model, options)
        self.kept: dict[str, Tensor] = {}  # empty: none so far

    def end(self) -> None:
        """Give the model the weights that were kept."""
        _give(self.parameters, self.kept)

    def state(self) -> dict[str, Tensor]:
        """Return the weights that were kept."""
        return dict(self.kept)

    def restore(self, tensors: Mapping[str, Tensor], validations: Sequence[float]) -> None:
        """Take over what `state` returned.

        Raises:
            Unfit: a weight is missing or of another shape.
        """
        wanted = {name: p.shape for name, p in self.parameters.items()}
        if tensors and {name: of.shape for name, of in tensors.items()} != wanted:
            raise Unfit("the weights that were kept are missing or of another shape")
        self.kept = {n: t.to(self.parameters[n].device).clone() for n, t in tensors.items()}


class Best(_Kept):
    """The weights of the epoch with the best validation, of several the first."""

    def after_epoch(self, validations: Sequence[float]) -> None:
        """Keep the weights where they are better than all before them."""
        if validations[-1] < min(validations[:-1], default=math.inf):
            self.kept = _copied(self.parameters)

    def restore(self, tensors: Mapping[str, Tensor], validations: Sequence[float]) -> None:
        """Take over what `state` returned.

        Raises:
            Unfit: it is not of such a training.
        """
        if bool(tensors) != bool(validations):
            raise Unfit("the best weights are missing")
        super().restore(tensors, validations)


class Average(_Kept):
    """The mean of the weights after each step of the last `averaged_epochs`."""

    def __init__(self, model: nn.Module, options: VariantOptions) -> None:
        super().__init__(model, options)
        self.count = 0  # steps of which it is the mean

    def has_begun(self, validations: Sequence[float]) -> bool:
        """Say whether the epoch that runs is averaged."""
        assert self.options.averaged_epochs is not None
        return len(validations) >= self.options.epochs - self.options.averaged_epochs

    def after_step(self, validations: Sequence[float]) -> None:
        """Take the weights into the mean."""
        if not self.has_begun(validations):
            return
        self.count += 1
        if self.count == 1:
            self.kept = _copied(self.parameters)
            return
        with torch.no_grad():
            for name, mean in self.kept.items():
                mean.lerp_(self.parameters[name], 1 / self.count)

    @contextmanager
    def validated(self) -> Iterator[None]:
        """Give the model the mean, where there is one, for as long as its validation takes."""
        trained = _copied(self.parameters) if self.kept else {}
        _give(self.parameters, self.kept)
        try:
            yield
        finally:
            _give(self.parameters, trained)

    def state(self) -> dict[str, Tensor]:
        """Return the mean, and of how many steps it is."""
        return {**super().state(), "count": torch.tensor(self.count)} if self.kept else {}

    def restore(self, tensors: Mapping[str, Tensor], validations: Sequence[float]) -> None:
        """Take over what `state` returned.

        Raises:
            Unfit: it is not of such a training.
        """
        weights = {name: of for name, of in tensors.items() if name != "count"}
        count = tensors.get("count", torch.tensor(0))
        if count.shape or count.is_floating_point() or (count > 0) != bool(weights):
            raise Unfit("it does not say of how many steps the mean is")
        super().restore(weights, validations)
        self.count = int(count)


class AverageOnPlateau(Average):
    """The mean of the weights after each step, from where validation no longer improves.

    It begins once an epoch was worse than the best of those more than PATIENCE before it (Merity
    et al., 2018, "Regularizing and Optimizing LSTM Language Models", algorithm 1: NT-AvSGD).
    """

    def has_begun(self, validations: Sequence[float]) -> bool:
        """Say whether the epoch that runs is averaged."""
        return any(
            found > min(validations[: i - PATIENCE])
            for i, found in enumerate(validations)
            if i > PATIENCE
        )


KEEP: dict[str, type[Last]] = {
    "last": Last,
    "best": Best,
    "average": Average,
    "average_on_plateau": AverageOnPlateau,
}


def _copied(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in parameters.items()}


def _give(parameters: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, weight in weights.items():
            parameters[name].copy_(weight)
