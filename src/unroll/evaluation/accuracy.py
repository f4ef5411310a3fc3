"""Accuracy of answers: whole, and symbol by symbol."""

from dataclasses import dataclass

from torch import Tensor

from unroll.generation.answering import answer, log_probability
from unroll.models import padding
from unroll.models.seq2seq import Seq2Seq


@dataclass(frozen=True)
class Accuracy:
    """What a model answered, and how much of it was right (fractions, not percent)."""

    answers: Tensor  # (N, T')
    right: Tensor  # (N,), true where the whole answer is right
    confidence: Tensor  # (N,), the probability that the model gives to its whole answer
    exact_match: float
    character_accuracy: float


def accuracy(
    model: Seq2Seq, sources: Tensor, targets: Tensor, blank: int, padding_option: str
) -> Accuracy:
    """Let the model answer all sources (N, T) and compare with targets (N, T' + 1).

    The first symbol of a target starts the decoder. An answer matches exactly when every
    symbol that counts is right: all of them with `padding: plain`, those up to the end of
    the answer with `padding: masked`.
    """
    start, expected = int(targets[0, 0]), targets[:, 1:]
    found = answer(model, sources, start, expected.shape[1])
    answers = found.symbols
    counts = padding.scored(expected, blank, padding_option)
    wrong = (answers != expected) & counts
    right = ~wrong.any(dim=1)
    return Accuracy(
        answers,
        right,
        log_probability(found, blank, padding_option).exp(),
        exact_match=right.double().mean().item(),
        character_accuracy=1 - wrong.sum().item() / counts.sum().item(),
    )
