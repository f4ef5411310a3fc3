"""Where a model fails: its test results by what may make an item easy or hard.

A breakdown is a table with a row per property and class: `property`, `value`, `items`, `mean` (of
the metric that decides, over the items of the class) and `confidence` (what the model gives to its
answers, on average; empty where it has no such opinion).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from unroll.data.properties import CROSS, Property, of_bands, of_values

COLUMNS = ["property", "value", "items", "mean", "confidence"]
NUMBERS = ["items", "mean", "confidence"]

BINS = 10  # of confidence
MANY = 15  # lengths are told one by one up to here
LENGTHS = (1, 6, 11, 21, 31, 51, 81, 131)  # where bands of lengths begin

# Properties of answers, beside those of the questions.
ANSWER_LENGTH = "answer length"
CONFIDENCE = "confidence"
FIRST_WRONG = "first wrong symbol"
MISTAKE = "mistake"
CONFUSION = f"label{CROSS}answer"


def of_answers(
    properties: Iterable[Property], right: np.ndarray, confidence: np.ndarray
) -> pd.DataFrame:
    """Break down answers by properties and by the model's confidence in them.

    With `right` (I,), 0 or 1, and `confidence` (I,), the probability that the model gives to its
    answer. A model is calibrated where, of the answers to which it gives 0.8, 0.8 are right
    (Guo et al., 2017, "On Calibration of Modern Neural Networks").
    """
    rows = []
    for property_ in (*properties, _bins(confidence)):
        for label, chosen in classes(property_):
            shares = (float(right[chosen].mean()), float(confidence[chosen].mean()))
            rows.append((property_.name, label, int(chosen.sum()), *shares))
    return pd.DataFrame(rows, columns=COLUMNS)


def by_position(wrong: np.ndarray, counts: np.ndarray, confidence: np.ndarray) -> pd.DataFrame:
    """Break down answers by the position of their first wrong symbol.

    With `wrong` and `counts` (I, T): whether a symbol is wrong, and whether it counts. A row says
    how many answers were right before the position, and the share of them that still are at it:
    the product of these shares is the share of right answers where all answers have one length.
    """
    rows = []
    before = np.ones(len(wrong), bool)
    for step in range(wrong.shape[1]):
        reached = before & counts[:, step]
        if not reached.any():
            break
        right = float(1 - wrong[reached, step].mean())
        sure = float(confidence[reached].mean())
        rows.append((FIRST_WRONG, str(step + 1), int(reached.sum()), right, sure))
        before = reached & ~wrong[:, step]
    return pd.DataFrame(rows, columns=COLUMNS)


def of_mistakes(
    name: Callable[[str, str], str],
    expected: Sequence[str],
    answered: Sequence[str],
    confidence: np.ndarray,
) -> pd.DataFrame:
    """Count the wrong answers of each name, the most frequent ones first."""
    names = [name(right, given) for right, given in zip(expected, answered, strict=True)]
    named = np.array(names, dtype=object)
    rows = [
        (MISTAKE, mistake, count, 0.0, float(confidence[named == mistake].mean()))
        for mistake, count in Counter(names).most_common()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def of_confusion(
    expected: Sequence[str], answered: Sequence[str], confidence: np.ndarray
) -> pd.DataFrame:
    """Count how often each label was answered where each is right, in the order of the labels."""
    # A label of a user's own may hold what stands between labels.
    expected, answered = ([x.replace(CROSS, " x ") for x in of] for of in (expected, answered))
    pairs = np.array([CROSS.join(pair) for pair in zip(expected, answered, strict=True)])
    rows = []
    for right in sorted(set(expected)):
        for given in sorted(set(answered)):
            chosen = pairs == f"{right}{CROSS}{given}"
            if chosen.any():
                sure = float(confidence[chosen].mean())
                name = f"{right}{CROSS}{given}"
                rows.append((CONFUSION, name, int(chosen.sum()), float(right == given), sure))
    return pd.DataFrame(rows, columns=COLUMNS)


def of_losses(properties: Iterable[Property], losses: np.ndarray) -> pd.DataFrame:
    """Break down the cross entropy in nats of each token (T,): perplexities of its classes."""
    rows = [
        (property_.name, label, int(chosen.sum()), float(np.exp(losses[chosen].mean())), np.nan)
        for property_ in properties
        for label, chosen in classes(property_)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def of_texts(
    properties: Iterable[Property], losses: np.ndarray, counts: np.ndarray
) -> pd.DataFrame:
    """Break down the cross entropy in nats (I,) of texts of so many symbols (I,): perplexities."""
    rows = [
        (
            property_.name,
            label,
            int(chosen.sum()),
            float(np.exp(losses[chosen].sum() / counts[chosen].sum())),
            np.nan,
        )
        for property_ in properties
        for label, chosen in classes(property_)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def answer_length(expected: Sequence[str]) -> Property:
    """Return how many characters each expected answer has; in bands where they differ a lot."""
    lengths = np.array([len(text) for text in expected])
    if len(np.unique(lengths)) > MANY:
        return of_bands(ANSWER_LENGTH, lengths, LENGTHS)
    return of_values(ANSWER_LENGTH, lengths.tolist())


def classes(property_: Property) -> Iterable[tuple[str, np.ndarray]]:
    """Return label and items, as a mask (I,), of each class that is not empty."""
    for code, label in enumerate(property_.labels):
        chosen = property_.codes == code
        if chosen.any():
            yield label, chosen


def _bins(confidence: np.ndarray) -> Property:
    codes = np.minimum((confidence * BINS).astype(int), BINS - 1)
    labels = tuple(f"{i / BINS:.1f}–{(i + 1) / BINS:.1f}" for i in range(BINS))
    return Property(CONFIDENCE, labels, codes)
