"""A trained run scored on validation and test, with samples to look at."""

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pandas as pd
import torch

from unroll.config import PairsOptions
from unroll.data.corpus import Corpus
from unroll.data.pairs import Pairs
from unroll.data.texts import texts
from unroll.evaluation import breakdown
from unroll.evaluation.accuracy import Accuracy, accuracy
from unroll.evaluation.attention import attention_weights
from unroll.evaluation.items import sentences
from unroll.evaluation.perplexity import token_losses
from unroll.generation.answering import answer_as_text
from unroll.models import padding
from unroll.models.build import Model
from unroll.models.decoders import AttentionDecoder
from unroll.models.language_model import LanguageModel
from unroll.models.seq2seq import Seq2Seq
from unroll.record import Record

SPLITS = ("valid", "test")
SAMPLES = 20
MAPS = 3  # attention maps of right answers, and of wrong ones


@dataclass(frozen=True)
class Evaluation:
    """What is known of a run after its evaluation; all but the scores is of the test split."""

    scores: dict[str, float]  # metrics named by split and method (fractions, not percent)
    items: dict[str, np.ndarray]  # see evaluation/items.py
    breakdown: pd.DataFrame  # see evaluation/breakdown.py
    samples: str = ""  # of pairs: the first questions and their answers
    attention: dict[str, np.ndarray] | None = None  # of an attention decoder: maps to look at


def evaluate_model(
    record: Record, model: Model, data: Pairs | Corpus, task: ModuleType, device: str
) -> Evaluation:
    """Score a model in float32 on the whole of each split; `task` is the module of its task."""
    model.to(device)
    if isinstance(model, LanguageModel):
        assert isinstance(data, Corpus)
        return _evaluate_corpus(model, data, device)
    assert isinstance(data, Pairs)
    return _evaluate_pairs(record, model, data, task, device)


def _evaluate_corpus(model: LanguageModel, corpus: Corpus, device: str) -> Evaluation:
    losses = {
        split: token_losses(model, torch.as_tensor(corpus.tokens[split]).to(device), corpus.eos)
        for split in SPLITS
    }
    scores = {f"{split}_perplexity": of.mean().exp().item() for split, of in losses.items()}
    test = losses["test"].numpy()
    items = sentences(test, corpus.tokens["test"], corpus.eos)
    return Evaluation(scores, items, breakdown.of_corpus(test, corpus))


def _evaluate_pairs(
    record: Record, model: Seq2Seq, pairs: Pairs, task: ModuleType, device: str
) -> Evaluation:
    assert isinstance(record.options, PairsOptions)
    option, scores = record.options.padding, {}
    for split in SPLITS:
        sources = torch.as_tensor(pairs.sources[split]).to(device)
        targets = torch.as_tensor(pairs.targets[split]).to(device)
        found = accuracy(model, sources, targets, pairs.blank, option)
        scores[f"{split}_exact_match"] = found.exact_match
        scores[f"{split}_character_accuracy"] = found.character_accuracy
    # From here on of the last split, the test.
    answers = Answers(
        texts(pairs.sources["test"], pairs.vocabulary),
        texts(pairs.targets["test"][:, 1:], pairs.vocabulary),
        [answer_as_text(row, pairs.vocabulary, option) for row in found.answers.tolist()],
        found.right.cpu().numpy(),
    )
    confidence = found.confidence.cpu().numpy()
    wrong = (found.answers != targets[:, 1:]).cpu().numpy()
    counts = padding.scored(targets[:, 1:], pairs.blank, option).cpu().numpy()
    return Evaluation(
        scores,
        {"right": answers.right.astype(np.uint8)},
        _breakdown(answers, confidence, wrong, counts, task),
        answers.sample_lines(),
        _attention(model, sources, targets, found),
    )


@dataclass(frozen=True)
class Answers:
    """Questions, what was expected, what was answered, and whether it is right."""

    questions: list[str]
    expected: list[str]
    answered: list[str]
    right: np.ndarray

    def sample_lines(self) -> str:
        """Return the first answers as the book shows them: Q, T, and ☑ or ☒ with the answer."""
        rows = zip(self.questions, self.expected, self.answered, self.right, strict=True)
        return "".join(
            f"Q {question}\nT {expected}\n{'☑' if right else '☒'} {answered}\n---\n"
            for _, (question, expected, answered, right) in zip(range(SAMPLES), rows, strict=False)
        )


def _breakdown(
    answers: Answers,
    confidence: np.ndarray,
    wrong: np.ndarray,
    counts: np.ndarray,
    task: ModuleType,
) -> pd.DataFrame:
    properties = [breakdown.answer_length(answers.expected)]
    if hasattr(task, "properties"):
        properties += task.properties(answers.questions)
    wrong_ones = np.flatnonzero(~answers.right)
    mistakes = breakdown.of_mistakes(
        getattr(task, "mistake", breakdown.first_difference),
        [answers.expected[i] for i in wrong_ones],
        [answers.answered[i] for i in wrong_ones],
        confidence[wrong_ones],
    )
    parts = [
        breakdown.of_pairs(properties, answers.right, confidence),
        breakdown.by_position(wrong & counts, counts, confidence),
        mistakes,
    ]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _attention(
    model: Seq2Seq, sources: torch.Tensor, targets: torch.Tensor, found: Accuracy
) -> dict[str, np.ndarray] | None:
    """Return the maps of the first right and the first wrong answers."""
    if not isinstance(model.decoder, AttentionDecoder):
        return None
    of_each = [torch.nonzero(found.right == right)[:MAPS, 0] for right in (True, False)]
    chosen = torch.cat(of_each)
    start = int(targets[0, 0])
    weights = attention_weights(model, sources[chosen], start, found.answers[chosen])
    return {
        "sources": sources[chosen].cpu().numpy().astype(np.int32),
        "answers": found.answers[chosen].cpu().numpy().astype(np.int32),
        "right": found.right[chosen].cpu().numpy().astype(np.uint8),
        "weights": weights.cpu().numpy().astype(np.float32),
    }
