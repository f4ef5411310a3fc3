"""Accuracy of answers: whole, and symbol by symbol."""

from dataclasses import dataclass

import numpy as np
import torch

from unroll.data.pairs import Pairs
from unroll.generation.answering import answer, texts_of
from unroll.generation.decoding import Written
from unroll.models.padding import PADDINGS
from unroll.models.seq2seq import Seq2Seq


@dataclass(frozen=True)
class Accuracy:
    """What a model answered to N questions, and how much of it was right, all on the CPU."""

    written: Written
    texts: list[str]
    right: np.ndarray  # (N,), true where the whole answer is right
    wrong: np.ndarray  # (N, T'), true where a symbol that counts is wrong
    counts: np.ndarray  # (N, T'), true where a symbol counts

    @property
    def confidence(self) -> np.ndarray:
        """The probability (N,) that the model gives to its whole answer."""
        confidence: np.ndarray = self.written.log_probabilities.sum(dim=1).exp().numpy()
        return confidence

    def scores(self) -> dict[str, float]:
        """Return the metrics, as shares."""
        return {
            "exact_match": float(self.right.mean()),
            "character_accuracy": float(1 - self.wrong.sum() / self.counts.sum()),
        }


def accuracy(model: Seq2Seq, pairs: Pairs, split: str, padding: str, device: str) -> Accuracy:
    """Let the model answer all sources of a split and compare with the targets.

    An answer is right when every symbol that counts is: all of them with `padding: plain`, those
    up to the end symbol with `padding: masked`. Where the pairs have texts it is right when it is
    one of the references, letter by letter: an unknown symbol is never right.
    """
    targets = pairs.targets[split]
    written = answer(model, pairs.sources[split], pairs.form, padding, device)
    expected = np.asarray(targets.ids)[:, 1:]
    lengths = torch.as_tensor(np.array(targets.lengths)) - 1
    counts = PADDINGS[padding].counts(lengths, expected.shape[1]).numpy()
    wrong = (written.symbols.numpy() != expected) & counts
    right, texts = ~wrong.any(axis=1), texts_of(written.symbols, pairs.form, padding)
    if pairs.texts is not None:
        references = pairs.texts[split].references
        right = np.array([text in of for text, of in zip(texts, references, strict=True)])
    return Accuracy(written, texts, right, wrong, counts)
