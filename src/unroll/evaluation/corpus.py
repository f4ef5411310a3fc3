"""A language model scored on validation and test."""

from dataclasses import replace

import numpy as np
import torch

from unroll.data.corpus import Corpus
from unroll.data.properties import of_bands
from unroll.evaluation import breakdown
from unroll.evaluation.evaluation import Evaluation
from unroll.evaluation.items import Item
from unroll.evaluation.methods import METHODS
from unroll.evaluation.methods.method import scored_by
from unroll.evaluation.perplexity import token_losses
from unroll.metrics import BY_METHOD
from unroll.models.language_model import LanguageModel

FREQUENCIES = (0, 1, 10, 100, 1_000, 10_000)  # times that a word stands in train
POSITIONS = (1, 2, 3, 4, 6, 11, 21, 41)  # of a word in its sentence, from 1

# On the Penn Treebank the error of a perplexity grows with the length of a run up to about 80.
LONGEST_RUN = 80
FEWEST_RUNS = 30


def evaluate_corpus(model: LanguageModel, corpus: Corpus) -> Evaluation:
    """Score a model, in the precision of its weights, on the whole of each split."""
    losses = {
        split: token_losses(model, torch.as_tensor(corpus.tokens[split]), corpus.eos).numpy()
        for split in ("valid", "test")
    }
    tokens, train = (np.asarray(corpus.tokens[split]) for split in ("test", "train"))
    frequency = np.bincount(train, minlength=len(corpus.vocabulary))
    properties = (
        of_bands("times in train", frequency[tokens], FREQUENCIES),
        of_bands("position in sentence", positions(tokens, corpus.eos), POSITIONS),
    )
    return Evaluation(
        {f"{split}_perplexity": float(np.exp(of.mean())) for split, of in losses.items()},
        {"perplexity": runs(losses["test"], tokens, corpus.eos)},
        breakdown.of_losses(properties, losses["test"]),
        tokens={"perplexity": -losses["test"]},
    )


def score_by(method: str, model: LanguageModel, corpus: Corpus, found: Evaluation) -> Evaluation:
    """Return an evaluation with the perplexity by this method."""
    by, metric = scored_by(METHODS[method](), model, corpus), BY_METHOD[method].name
    losses = {split: of.numpy() for split, of in by.losses.items()}
    scores = {f"{split}_{metric}": float(np.exp(of.mean())) for split, of in losses.items()}
    items = runs(losses["test"], np.asarray(corpus.tokens["test"]), corpus.eos)
    return replace(
        found,
        scores={**found.scores, **scores},
        items={**found.items, metric: items},
        tokens={**found.tokens, metric: -losses["test"]},
        settings={**found.settings, metric: dict(by.setting)},
    )


def runs(losses: np.ndarray, tokens: np.ndarray, eos: int) -> Item:
    """Return the losses and tokens of runs of sentences, from the loss of each token (T,).

    An item of a corpus is a run of sentences: those of one article are alike, and counted one by
    one they would make the text seem longer than it is.
    """
    number = np.concatenate([[0], np.cumsum(tokens == eos)[:-1]])
    sums, counts = np.bincount(number, weights=losses), np.bincount(number)
    starts = np.arange(0, len(counts), run_length(len(counts)))
    return Item(np.add.reduceat(sums, starts), np.add.reduceat(counts, starts).astype(np.int32))


def run_length(sentences: int) -> int:
    """Return how many sentences in a row are one item: LONGEST_RUN, fewer of a short text."""
    return min(LONGEST_RUN, max(1, sentences // FEWEST_RUNS))


def positions(tokens: np.ndarray, eos: int) -> np.ndarray:
    """Return the position of each token (T,) in its sentence, from 1; `eos` ends one."""
    index = np.arange(len(tokens))
    starts = np.where(np.concatenate([[True], tokens[:-1] == eos]), index, 0)
    found: np.ndarray = index - np.maximum.accumulate(starts) + 1
    return found
