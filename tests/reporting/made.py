"""Results as training and evaluation would leave them, made of a few numbers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from models.toys import DIGITS, corpus_options, pairs_options, subject
from unroll.runs.circumstances import Circumstances, Source
from unroll.options import Comparison
from unroll.evaluation import breakdown
from unroll.runs.record import Record
from unroll.reporting.results import Result

COMMIT = "0123456789" * 4


class Asked:
    """A study with these references, as the comparison asks it."""

    name = "toy"
    comparison = Comparison(resamples=400)

    def __init__(self, **references: str) -> None:
        self.references = references
        self.variants = defaultdict(lambda: pairs_options(task="sums"))

    def reference(self, variant: str) -> str | None:
        return self.references.get(variant)


def circumstances(seeds: int) -> Circumstances:
    epochs = [(seed, epoch, 0.0, 1.5 + seed, 0.1, 0.0, 0.0) for seed in range(seeds)
              for epoch in (1, 2)]  # fmt: skip
    columns = ["seed", "epoch", "ended", "train_seconds", "valid_seconds", "cpu_percent",
               "memory_mb"]  # fmt: skip
    runs = pd.DataFrame({"started": [10.0] * seeds, "ended": 13.0, "peak_memory_mb": 99.0})
    source = Source(
        command="unroll train v", stage=None, experiment=None, commit=COMMIT, folder="", dirty=False
    )
    return Circumstances(pd.DataFrame(epochs, columns=columns), runs, source, b"")


def _records(options: Any, metric: str, last: Sequence[float]) -> list[Record]:
    return [
        Record(
            subject(options), seed, 7, {}, DIGITS,
            pd.DataFrame({"epoch": [1, 2], metric: [value / 2, value]}),
        )
        for seed, value in enumerate(last)
    ]  # fmt: skip


def pairs_result(*right: list[int], perplexities: tuple[float, ...] = ()) -> Result:
    """Return a variant whose seeds gave these right and wrong answers."""
    scores = [(seed, "test_exact_match", np.mean(r)) for seed, r in enumerate(right)]
    scores += [(seed, "valid_exact_match", np.mean(r) / 2) for seed, r in enumerate(right)]
    scores += [(seed, "valid_perplexity", p) for seed, p in enumerate(perplexities)]
    parts = []
    for seed, r in enumerate(right):
        outcomes, confidence = np.array(r), np.full(len(r), 0.75)
        expected = [("1", "22")[i % 2] for i in range(len(r))]
        wrong = [text for text, is_right in zip(expected, r, strict=True) if not is_right]
        length = breakdown.answer_length(expected)
        mistakes = breakdown.of_mistakes(
            lambda expected, answered: "no number", wrong, wrong, np.full(len(wrong), 0.75)
        )
        tables = [breakdown.of_pairs([length], outcomes, confidence), mistakes]
        parts += [table.assign(seed=seed) for table in tables if len(table)]
    return Result(
        _records(pairs_options(), "valid_exact_match", [np.mean(r) / 2 for r in right]),
        pd.DataFrame(scores, columns=["seed", "metric", "value"]),
        [{"right": np.array(r)} for r in right],
        pd.concat(parts, ignore_index=True),
        [],
        circumstances(len(right)),
        "Q 1\nT 1\n☑ 1\n---\n",
    )


def corpus_result(*losses: list[float]) -> Result:
    """Return a language model whose seeds had these losses, one for each sentence of 2 words."""
    items = [{"losses": np.array(of), "counts": np.full(len(of), 2)} for of in losses]
    found = [float(np.exp(np.sum(of) / (2 * len(of)))) for of in losses]
    scores = [(s, f"{split}_perplexity", p) for split in ("valid", "test") for s, p in
              enumerate(found)]  # fmt: skip
    rows = [("times in train", v, 4, p, s) for s, p in enumerate(found) for v in ("1–9", "10–99")]
    return Result(
        _records(corpus_options(), "valid_perplexity", found),
        pd.DataFrame(scores, columns=["seed", "metric", "value"]),
        items,
        pd.DataFrame(rows, columns=[*breakdown.CORPUS_COLUMNS, "seed"]),
        [],
        circumstances(len(losses)),
        "=== you\nyou know.\n",
    )


def with_attention(result: Result) -> Result:
    """Return the result of a variant whose seeds left an attention map each."""
    maps: Mapping[str, np.ndarray] = {
        "sources": np.array([[DIGITS.ids["1"], DIGITS.ids["2"]]]),
        "answers": np.array([[DIGITS.ids["3"]]]),
        "right": np.array([1]),
        "weights": np.array([[[0.25, 0.75]]]),
    }
    return Result(**{**vars(result), "attention": [dict(maps)] * len(result.records)})


GOOD = pairs_result([1] * 90 + [0] * 10, [1] * 92 + [0] * 8, [1] * 89 + [0] * 11)
POOR = pairs_result([1] * 20 + [0] * 80, [1] * 22 + [0] * 78, [1] * 18 + [0] * 82)
