"""Answers as texts: BLEU and chrF against all references, and the perplexity of the references.

BLEU (Papineni et al., 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation") and
chrF (Popović, 2015, "chrF: character n-gram F-score for automatic MT evaluation") are those of
sacrebleu (Post, 2018, "A Call for Clarity in Reporting BLEU Scores"), on texts as they were before
they were made symbols. Its signature says which of their many forms it was.
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest

import numpy as np
import torch
import torch.nn.functional as F
from sacrebleu.metrics.base import Metric as Measure
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from unroll.data.batches import rows_at_once
from unroll.data.pairs import Pairs
from unroll.data.vocabulary import Unit
from unroll.evaluation.items import Item
from unroll.models.layers import at_least_float32
from unroll.models.padding import PADDINGS
from unroll.models.seq2seq import Seq2Seq
from unroll.models.side import Side

# By the unit in which answers are written: where words are no units, BLEU counts characters too.
MEASURES: dict[str, Callable[[Unit], Measure]] = {
    "bleu": lambda unit: BLEU(tokenize="char" if unit == "character" else "13a"),
    "chrf": lambda unit: CHRF(),
}


def score_texts(
    name: str, answered: Sequence[str], references: Sequence[Sequence[str]], unit: Unit = "token"
) -> tuple[Item, str]:
    """Return what each of I answers brought to a measure of the whole, and its signature.

    Neither measure is a mean over sentences: it is computed from sums of counts. An answer is
    given its influence, by leaving it out (the jackknife: Efron, 1982, "The Jackknife, the
    Bootstrap and Other Resampling Plans", chapter 3). The mean of these values is the measure
    itself, from 0 to 100, and their spread says how far it depends on which sentences were drawn.
    """
    measure = MEASURES[name](unit)
    columns = list(zip_longest(*references))  # as sacrebleu has them: the first ones, the second…
    counts = np.array(measure._extract_corpus_statistics(answered, columns))
    total, N = counts.sum(axis=0), len(counts)
    whole = _score(measure, total)
    if N == 1:
        return Item(np.array([whole])), str(measure.get_signature())
    without = np.array([_score(measure, total - row) for row in counts])
    return Item(whole + (N - 1) * (without.mean() - without)), str(measure.get_signature())


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
    sources = Side(pairs.sources[split], known, device)
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
