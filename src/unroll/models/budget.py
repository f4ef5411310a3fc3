"""A hidden size for a number of parameters, so that variants of one size can be compared."""

from collections.abc import Callable, Mapping

from torch import nn

from unroll.models.initialise import shapes_alone
from unroll.options import VariantOptions

LARGEST = 2**13

Build = Callable[[VariantOptions], nn.Module]


def count_parameters(model: nn.Module) -> int:
    """Return the number of trained parameters; a shared matrix counts once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def parameters(build: Build, options: VariantOptions) -> int:
    """Return the number of trained parameters of a model with these options; none is drawn."""
    with shapes_alone():
        return count_parameters(build(options))


def match(build: Build, options: VariantOptions, budget: int) -> VariantOptions:
    """Return the options with the hidden size whose parameter count is nearest to `budget`."""
    step = options.size_step

    def count(steps: int) -> int:
        return parameters(build, options.resized(steps * step))

    above = 1
    while count(above) < budget and above < LARGEST:
        above *= 2
    below = max(1, above // 2)
    while above - below > 1:
        middle = (above + below) // 2
        below, above = (middle, above) if count(middle) < budget else (below, middle)
    nearest = min((below, above), key=lambda steps: abs(count(steps) - budget))
    return options.resized(nearest * step)


def solve(
    build: Build, options: VariantOptions, variants: Mapping[str, VariantOptions]
) -> VariantOptions:
    """Return the options with the hidden size that `match_parameters` asks for, if it does."""
    if options.match_parameters is None:
        return options
    return match(build, options, parameters(build, variants[options.match_parameters]))
