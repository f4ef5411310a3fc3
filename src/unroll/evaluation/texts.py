"""Answers as texts: BLEU and chrF against all references, and the perplexity of the references.

BLEU (Papineni et al., 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation") and
chrF (Popović, 2015, "chrF: character n-gram F-score for automatic MT evaluation") are those of
sacrebleu (Post, 2018, "A Call for Clarity in Reporting BLEU Scores"), on texts as they were before
they were made symbols. Its signature says which of their many forms it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import torch
import torch.nn.functional as F
from sacrebleu.metrics.base import Metric as Measure
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from unroll.data.batches import rows_at_once
from unroll.data.pairs import Pairs
from unroll.data.properties import Property, of_bands
from unroll.data.sequences import Sequences
from unroll.data.vocabulary import Unit, Vocabulary
from unroll.evaluation.accuracy import Accuracy
from unroll.evaluation.items import Item, influences
from unroll.models.layers import at_least_float32
from unroll.models.padding import PADDINGS
from unroll.models.seq2seq import Seq2Seq
from unroll.models.side import Side, side_of

# By the unit in which answers are written: where words are no units, BLEU counts characters too.
MEASURES: dict[str, Callable[[Unit], Measure]] = {
    "bleu": lambda unit: BLEU(tokenize="char" if unit == "character" else "13a"),
    "chrf": lambda unit: CHRF(),
}

UNKNOWN = "⁇"  # what no tokenizer cuts, and no reference holds
FREQUENCIES = (0, 1, 2, 5, 10, 100, 1_000, 10_000)  # times that a symbol stands in train


@dataclass(frozen=True)
class TextScores:
    """What texts of a split are scored by: values, items and notes, by metric."""

    values: dict[str, float]
    items: dict[str, Item]
    notes: dict[str, str]


def score_all(
    model: Seq2Seq, pairs: Pairs, split: str, padding: str, device: str, found: Accuracy
) -> TextScores:
    """Return BLEU, chrF and the perplexity of the references of a split."""
    items: dict[str, Item] = {}
    notes: dict[str, str] = {}
    references, unit = pairs.references(split), pairs.form.answers.unit
    texts = _whole(found.texts, pairs.form.answers)
    for name in MEASURES:
        items[name], notes[name] = score_texts(name, texts, references, unit)
    values = {name: float(item.values.mean()) for name, item in items.items()}
    losses, counts = reference_losses(model, pairs, split, padding, device)
    values["perplexity"] = float(np.exp(losses.sum() / counts.sum()))
    items["perplexity"] = Item(losses, counts.astype(np.int32))
    return TextScores(values, items, notes)


def score_texts(
    name: str, answered: Sequence[str], references: Sequence[Sequence[str]], unit: Unit = "token"
) -> tuple[Item, str]:
    """Return what each of I answers brought to a measure of the whole, and its signature.

    Neither measure is a mean over sentences: it is computed from sums of counts (`influences`). It
    goes from 0 to 100.
    """
    measure = MEASURES[name](unit)
    columns = list(zip_longest(*references))  # as sacrebleu has them: the first ones, the second…
    counts = np.array(measure._extract_corpus_statistics(answered, columns))
    values = influences(counts, lambda total: _score(measure, total))
    return Item(values), str(measure.get_signature())


def _whole(texts: Sequence[str], vocabulary: Vocabulary) -> list[str]:
    """Return answers in which an unknown symbol is one wrong word: `<unk>` is cut in three."""
    unknown = vocabulary.special.get("unknown")
    return [text.replace(unknown, UNKNOWN) if unknown else text for text in texts]


def _score(measure: Measure, counts: np.ndarray) -> float:
    return float(measure._compute_score_from_stats(counts.tolist()).score)


@torch.inference_mode()
def reference_losses(
    model: Seq2Seq, pairs: Pairs, split: str, padding: str, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cross entropy in nats (I,) of each target, and how many of its symbols count.

    The decoder reads the target (teacher forcing).
    """
    model.eval()
    known, form = PADDINGS[padding], pairs.form
    sources = side_of(pairs.sources[split], known, device)
    targets = Side(pairs.targets[split], known, device)
    losses = torch.empty(len(sources), dtype=torch.float64)
    numbers = torch.empty(len(sources), dtype=torch.long)
    for rows in sources.parts(rows_at_once(form.target_width, len(form.answers))):
        ids, lengths = targets.batch(rows)
        inputs, expected = ids[:, :-1], ids[:, 1:]
        source, read = sources.read(rows)
        counts = known.counts(lengths - 1, expected.shape[1]).to(device)
        logits = at_least_float32(model(source, inputs, read))
        each = F.cross_entropy(logits.transpose(1, 2), expected, reduction="none")
        losses[rows] = (each * counts).double().sum(dim=1).cpu()
        numbers[rows] = counts.sum(dim=1).cpu()
    return losses.numpy(), numbers.numpy()


def short_and_long(pairs: Pairs, count: int) -> list[int]:
    """Return `count` test pairs: the first of the shortest quarter of the sources, and the longest.

    So nobody has chosen them by their answers.
    """
    lengths = np.asarray(pairs.sources["test"].lengths)
    low, high = np.quantile(lengths, [0.25, 0.75])
    short: list[int] = np.flatnonzero(lengths <= low)[: count // 2].tolist()
    long = [i for i in np.flatnonzero(lengths >= high).tolist() if i not in short]
    return short + long[: count // 2]


def rarest(pairs: Pairs) -> Property:
    """Return how often the rarest symbol of each test source stands in the sources of train."""
    train, test, vocabulary = pairs.sources["train"], pairs.sources["test"], pairs.form.source
    counts = np.bincount(np.asarray(train.ids)[_inside(train)], minlength=len(vocabulary))
    if "unknown" in vocabulary.special:  # what it stands for was seen too seldom to be known
        counts[vocabulary["unknown"]] = 0
    seen = np.where(_inside(test), counts[np.asarray(test.ids)], counts.max())
    return of_bands("rarest symbol", seen.min(axis=1), FREQUENCIES)


def _inside(sequences: Sequences) -> np.ndarray:
    """Say which (N, T) of the ids are no filling."""
    return np.arange(sequences.width) < np.asarray(sequences.lengths)[:, None]
