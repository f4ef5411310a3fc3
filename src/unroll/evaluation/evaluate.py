"""A trained run scored on validation and test, with samples to look at."""

from dataclasses import dataclass

import numpy as np
import torch

from unroll.config import PairsOptions
from unroll.data.corpus import Corpus
from unroll.data.pairs import Pairs
from unroll.evaluation.accuracy import Accuracy, accuracy
from unroll.evaluation.items import sentences
from unroll.evaluation.perplexity import token_losses
from unroll.generation.answering import answer_as_text
from unroll.models.build import Model
from unroll.models.language_model import LanguageModel
from unroll.models.seq2seq import Seq2Seq
from unroll.record import Record

SPLITS = ("valid", "test")
SAMPLES = 20


@dataclass(frozen=True)
class Evaluation:
    """Metrics named by split and method (fractions, not percent), and sample lines."""

    scores: dict[str, float]
    samples: str
    items: dict[str, np.ndarray]  # of the test split: see evaluation/items.py


def evaluate_model(record: Record, model: Model, data: Pairs | Corpus, device: str) -> Evaluation:
    """Score a model in float32 on the whole of each split."""
    model.to(device)
    if isinstance(model, LanguageModel):
        assert isinstance(data, Corpus)
        return _evaluate_corpus(model, data, device)
    assert isinstance(data, Pairs)
    found = {split: _accuracy(record, model, data, split, device) for split in SPLITS}
    scores = {}
    for split, result in found.items():
        scores[f"{split}_exact_match"] = result.exact_match
        scores[f"{split}_character_accuracy"] = result.character_accuracy
    test = found["test"]
    items: dict[str, np.ndarray] = {
        "right": test.right.cpu().numpy().astype(np.uint8),
        "confidence": test.confidence.cpu().numpy().astype(np.float32),
        "answers": test.answers.cpu().numpy().astype(np.int32),
    }
    return Evaluation(scores, _sample_lines(record, data, test), items)


def _evaluate_corpus(model: LanguageModel, corpus: Corpus, device: str) -> Evaluation:
    losses = {
        split: token_losses(model, torch.as_tensor(corpus.tokens[split]).to(device), corpus.eos)
        for split in SPLITS
    }
    scores = {f"{split}_perplexity": of.mean().exp().item() for split, of in losses.items()}
    items = sentences(losses["test"].numpy(), corpus.tokens["test"], corpus.eos)
    return Evaluation(scores, "", items)


def _accuracy(record: Record, model: Seq2Seq, pairs: Pairs, split: str, device: str) -> Accuracy:
    assert isinstance(record.options, PairsOptions)
    sources = torch.as_tensor(pairs.sources[split]).to(device)
    targets = torch.as_tensor(pairs.targets[split]).to(device)
    return accuracy(model, sources, targets, pairs.blank, record.options.padding)


def _sample_lines(record: Record, pairs: Pairs, found: Accuracy) -> str:
    """Return the first test questions as the book shows them: Q, T, and ☑ or ☒ with the answer."""

    def text(ids: list[int], padding: str = "plain") -> str:
        return answer_as_text(ids, pairs.vocabulary, padding)

    assert isinstance(record.options, PairsOptions)
    lines = []
    for i in range(min(SAMPLES, len(found.answers))):
        question = text(pairs.sources["test"][i].tolist())
        expected = text(pairs.targets["test"][i, 1:].tolist())
        mark = "☑" if found.right[i] else "☒"
        answer = text(found.answers[i].tolist(), record.options.padding)
        lines += [f"Q {question}", f"T {expected}", f"{mark} {answer}", "---"]
    return "\n".join(lines) + "\n"
