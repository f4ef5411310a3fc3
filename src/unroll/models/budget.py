"""A hidden size for a number of parameters, so that variants of one size can be compared."""

from unroll.config import PairsOptions, VariantOptions
from unroll.data.vocabulary import Vocabulary
from unroll.models.build import build, count_parameters
from unroll.models.initialise import initialise

LARGEST = 2**13


def parameters(options: VariantOptions, vocabulary: Vocabulary) -> int:
    """Return the number of trained parameters of a model with these options."""
    model = build(options, vocabulary)
    initialise(model, options.init, seed=0)  # `book` leaves one of two biases untrained
    return count_parameters(model)


def resize(options: VariantOptions, hidden_size: int) -> VariantOptions:
    """Return the options with another hidden size; a tied embedding follows it."""
    tied = getattr(options, "tie_weights", False)
    sizes = {"hidden_size": hidden_size} | ({"embedding_size": hidden_size} if tied else {})
    return options.model_copy(update=sizes)


def match(options: VariantOptions, budget: int, vocabulary: Vocabulary) -> VariantOptions:
    """Return the options with the hidden size whose parameter count is nearest to `budget`."""
    step = 2 if isinstance(options, PairsOptions) and options.bidirectional else 1

    def count(steps: int) -> int:
        return parameters(resize(options, steps * step), vocabulary)

    above = 1
    while count(above) < budget and above < LARGEST:
        above *= 2
    below = max(1, above // 2)
    while above - below > 1:
        middle = (above + below) // 2
        below, above = (middle, above) if count(middle) < budget else (below, middle)
    nearest = min((below, above), key=lambda steps: abs(count(steps) - budget))
    return resize(options, nearest * step)
