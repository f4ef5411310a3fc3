"""Results as training and evaluation would leave them, made of a few numbers."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from models.toys import addition, corpus_options, labels_options, pairs_options, record
from unroll.evaluation import breakdown
from unroll.evaluation.items import Item
from unroll.evaluation.labels import f1_items
from unroll.evaluation.maps import Map
from unroll.generation.novelty import novelty
from unroll.options import Comparison
from unroll.reporting.results import Result
from unroll.runs.circumstances import Circumstances, Session, Source
from unroll.tasks.sentences import Sentences, SentencesOptions
from unroll.tasks.text import Text, TextOptions

COMMIT = "0123456789" * 4
TEXT = Text(TextOptions(kind="text", source="grammar"))
SENTENCES = Sentences(SentencesOptions(kind="sentences"))
COUNTS = {"train": 45_000, "valid": 5_000, "test": 5_000}


class Asked:
    """A study with these references, as the comparison asks it."""

    name = "toy"
    comparison = Comparison()

    def __init__(self, **references: str) -> None:
        self.references = references
        self.variants = defaultdict(lambda: pairs_options(task="sums"))

    def reference(self, variant: str) -> str | None:
        return self.references.get(variant)


def circumstances(seeds: int) -> dict[int, Circumstances]:
    """Return those of seeds that took 1.5 seconds an epoch, 2.5 seconds, and so on."""
    columns = ["epoch", "ended", "train_seconds", "valid_seconds", "cpu_percent", "memory_mb"]
    source = Source(
        command="unroll train v",
        stage=None,
        experiment=None,
        commit=COMMIT,
        folder="",
        dirty=False,
        sources=["ef" * 32],
    )
    found = {}
    for seed in range(seeds):
        epochs = [(epoch, 0.0, 1.5 + seed, 0.1, 0.0, 0.0) for epoch in (1, 2)]
        session = Session(started=10.0, ended=13.0, peak_memory_mb=99.0, source=source)
        found[seed] = Circumstances(pd.DataFrame(epochs, columns=columns), session)
    return found


def result(
    options: Any,
    task: Any,
    scores: Mapping[str, list[float]],
    items: list[dict[str, Item]],
    tables: list[pd.DataFrame],
    samples: str,
    new: pd.DataFrame | None = None,
) -> Result:
    """Return a variant whose seeds had these scores, half of the last one at the first epoch."""
    seeds = range(len(items))
    records = [
        record(options, task, s, **{name: [of[s] / 2, of[s]] for name, of in scores.items()
                                    if name.startswith("valid")})
        for s in seeds
    ]  # fmt: skip
    rows = [(seed, name, value) for name, of in scores.items() for seed, value in enumerate(of)]
    return Result(
        records=records,
        scores=pd.DataFrame(rows, columns=["seed", "metric", "value"]),
        items=items,
        breakdown=pd.concat(
            [table.assign(seed=seed) for seed, table in zip(seeds, tables, strict=True)],
            ignore_index=True,
        ),
        maps=[[] for _ in seeds],
        sheets=[[] for _ in seeds],
        circumstances=circumstances(len(items)),
        counts=COUNTS,
        samples=samples,
        novelty=new,
        inside=None,
        settings={},
        notes={},
    )


def of_texts(values: list[Any], right: list[Any]) -> pd.DataFrame:
    """Return a breakdown of answers of one and two symbols in turn, each worth its value."""
    expected = [("1", "22")[i % 2] for i in range(len(values))]
    wrong = [text for text, is_right in zip(expected, right, strict=True) if not is_right]
    length, sure = breakdown.answer_length(expected), np.full(len(values), 0.75)
    mistakes = breakdown.of_mistakes(
        lambda expected, answered: "no number", wrong, wrong, sure[: len(wrong)]
    )
    tables = [breakdown.of_answers([length], np.array(values), sure), mistakes]
    return pd.concat([table for table in tables if len(table)], ignore_index=True)


def pairs_result(*right: list[int]) -> Result:
    """Return a variant whose seeds gave these right and wrong answers."""
    shares = [float(np.mean(of)) for of in right]
    scores = {"test_exact_match": shares, "valid_exact_match": [share / 2 for share in shares]}
    return result(
        pairs_options(),
        addition(),
        scores,
        [{"exact_match": Item(np.array(of, np.uint8))} for of in right],
        [of_texts(of, of) for of in right],
        "Q 1\nT 1\n☑ 1\n---\n",
    )


def corpus_result(*losses: list[float]) -> Result:
    """Return a language model whose seeds had these losses, one for each sentence of 2 words."""
    found = [float(np.exp(np.sum(of) / (2 * len(of)))) for of in losses]
    rows = [[("times in train", v, 4, p, np.nan) for v in ("1–9", "10–99")] for p in found]
    texts = {"samples": [((), [1, 2, 3])], "test split": [((), [3, 2, 1])]}
    return result(
        corpus_options(),
        TEXT,
        {"valid_perplexity": found, "test_perplexity": found},
        [{"perplexity": Item(np.array(of), np.full(len(of), 2, np.int32))} for of in losses],
        [pd.DataFrame(of_seed, columns=breakdown.COLUMNS) for of_seed in rows],
        "=== you\nyou know.\n",
        novelty(texts, [1, 2, 3]),
    )


def labels_result(expected: list[str], *answered: list[str]) -> Result:
    """Return a classifier of sentences of one to four words, whose seeds gave these labels."""
    names = sorted(set(expected))
    of, *said = ([names.index(label) for label in labels] for labels in (expected, *answered))
    right = [np.equal(of, given) for given in said]
    f1 = [f1_items(np.array(of), np.array(given), len(names)) for given in said]
    shares, means = [float(x.mean()) for x in right], [float(item.values.mean()) for item in f1]
    sure = np.linspace(0.5, 0.9, len(expected))
    length = SENTENCES.properties([("a", "a b c")[i % 2] for i in range(len(expected))])
    wrong = [
        [(e, a, s) for e, a, s in zip(expected, given, sure, strict=True) if e != a]
        for given in answered
    ]
    tables = [
        [
            breakdown.of_answers(length, is_right.astype(int), sure),
            *([breakdown.of_mistakes(SENTENCES.mistake, *map(np.array, zip(*missed, strict=True)))]
              if missed else []),
            breakdown.of_confusion(expected, given, sure),
        ]
        for is_right, missed, given in zip(right, wrong, answered, strict=True)
    ]  # fmt: skip
    return result(
        labels_options(),
        SENTENCES,
        {
            "test_accuracy": shares,
            "test_macro_f1": means,
            "valid_accuracy": shares,
            "valid_macro_f1": means,
        },
        [
            {"accuracy": Item(is_right.astype(np.uint8)), "macro_f1": item}
            for is_right, item in zip(right, f1, strict=True)
        ],
        [pd.concat(of_seed, ignore_index=True) for of_seed in tables],
        "Q a\nT x\n☑ x\n---\n",
    )


def with_attention(of: Result) -> Result:
    """Return the result of a variant whose seeds left an attention map each."""
    one = Map(question=["1", "2"], answer=["3"], right=True, weights=[[0.25, 0.75]])
    return replace(of, maps=[[one] for _ in of.records])


GOOD = pairs_result([1] * 90 + [0] * 10, [1] * 92 + [0] * 8, [1] * 89 + [0] * 11)
POOR = pairs_result([1] * 20 + [0] * 80, [1] * 22 + [0] * 78, [1] * 18 + [0] * 82)
