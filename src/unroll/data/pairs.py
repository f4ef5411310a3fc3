"""Pairs: source sequences and the target sequences that answer them.

A target begins with the start symbol, which is given to the decoder and never predicted, and ends
with the end symbol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from unroll.data.prepared import TEXTS, check_sequences, read_prepared, read_texts, write_prepared
from unroll.data.sequences import SPLITS, Sequences, encode
from unroll.data.vocabulary import Unit, Vocabulary
from unroll.errors import DataError
from unroll.options import Strict

LEVELS = "train.levels"  # the array that holds them, where there are any
Width = Annotated[int, Field(ge=1, le=10_000)]


class PairsForm(Strict):
    """What a model must know of its pairs: the symbols of both sides, and the greatest lengths."""

    source: Vocabulary
    target: Vocabulary | None = None  # where it is another one
    source_width: Width
    target_width: Annotated[Width, Field(ge=2)]

    @model_validator(mode="after")
    def _special_symbols(self) -> "PairsForm":
        for role in ("pad", "start", "end"):
            if role not in self.answers.special:
                raise ValueError(f"the target's vocabulary has no symbol for {role}")
        if "pad" not in self.source.special:
            raise ValueError("the source's vocabulary has no symbol for pad")
        return self

    @property
    def answers(self) -> Vocabulary:
        """The vocabulary of targets."""
        return self.target or self.source


class Texts(Strict):
    """What the pairs of a split say: each question, and all answers that are right, one or more.

    The sequences say less where the vocabulary lacks a symbol, and have the first answer alone.
    """

    questions: list[str]
    references: list[Annotated[list[str], Field(min_length=1)]]


@dataclass(frozen=True)
class Pairs:
    """Prepared pairs: for each split, sources and targets, and the texts where these say more.

    `levels` (N,) say how hard each pair of train is, from 1, where the task knows.
    """

    form: PairsForm
    sources: dict[str, Sequences]
    targets: dict[str, Sequences]
    facts: dict[str, Any]
    texts: dict[str, Texts] | None = None
    levels: np.ndarray | None = None

    def questions(self, split: str) -> list[str]:
        """Return the sources of a split as texts."""
        if self.texts is not None:
            return self.texts[split].questions
        return self.sources[split].texts(self.form.source)

    def answers(self, split: str) -> list[str]:
        """Return the targets of a split as texts; of several to one source the first."""
        return [first for first, *_ in self.references(split)]

    def references(self, split: str) -> list[list[str]]:
        """Return all right answers to each source of a split, as texts."""
        if self.texts is not None:
            return self.texts[split].references
        return [[text] for text in self.targets[split].texts(self.form.answers)]


def from_texts(
    splits: Mapping[str, Sequence[tuple[str, str]]],
    units: tuple[Unit, Unit] = ("character", "character"),
    facts: Mapping[str, Any] | None = None,
    minimum_count: int = 1,
    alphabets: tuple[str, str] = ("", ""),
) -> Pairs:
    """Build pairs from the texts (source, target) of each split, in units (source, target).

    Each side has a vocabulary of its own, of its alphabet and of what stands in train at least
    `minimum_count` times; what else there is becomes `<unk>`. Targets stand between `<sos>` and
    `<eos>`.

    Raises:
        DataError: a text is empty; the message names the split and the line.
    """
    source = Vocabulary.of_texts(
        (s for s, _ in splits["train"]),
        units[0],
        *("pad", "unknown"),
        minimum_count=minimum_count,
        alphabet=alphabets[0],
    )
    target = Vocabulary.of_texts(
        (t for _, t in splits["train"]),
        units[1],
        *("pad", "start", "end", "unknown"),
        minimum_count=minimum_count,
        alphabet=alphabets[1],
    )
    pairs = [pair for rows in splits.values() for pair in rows]
    longest = [
        max(len(vocabulary.split(pair[side])) for pair in pairs)
        for side, vocabulary in enumerate((source, target))
    ]
    form = PairsForm(
        source=source, target=target, source_width=longest[0], target_width=longest[1] + 2
    )
    sources, targets = {}, {}
    for split, rows in splits.items():
        sources[split] = encode([s for s, _ in rows], source, form.source_width, split)
        targets[split] = encode(
            [t for _, t in rows], target, form.target_width, split, start=True, end=True
        )
    counts = {"counts": {split: len(rows) for split, rows in splits.items()}}
    return Pairs(form, sources, targets, {**(facts or {}), **counts})


def from_translations(
    splits: Mapping[str, Sequence[tuple[str, str]]],
    units: tuple[Unit, Unit],
    facts: Mapping[str, Any],
    minimum_count: int = 1,
) -> Pairs:
    """Build pairs that keep their texts; outside train a source stands once, with all its targets.

    Raises:
        DataError: a text is empty; the message names the split and the line.
    """
    answers: dict[str, dict[str, list[str]]] = {split: {} for split in splits}
    for split, rows in splits.items():
        for source, target in rows:
            answers[split].setdefault(source, []).append(target)
    first = {
        split: rows if split == "train" else [(s, of[0]) for s, of in answers[split].items()]
        for split, rows in splits.items()
    }
    texts = {
        split: Texts(
            questions=[source for source, _ in rows],
            references=[
                [target] if split == "train" else answers[split][source] for source, target in rows
            ],
        )
        for split, rows in first.items()
    }
    return replace(from_texts(first, units, facts, minimum_count), texts=texts)


def save_pairs(pairs: Pairs, folder: Path) -> None:
    """Write prepared pairs; an earlier folder is replaced only when all is written."""
    sides = (("source", pairs.sources), ("target", pairs.targets))
    sequences = {f"{s}.{side}": of[s] for side, of in sides for s in SPLITS}
    texts = pairs.texts or {}
    documents = {TEXTS: {split: of.model_dump() for split, of in texts.items()}} if texts else {}
    arrays = {} if pairs.levels is None else {LEVELS: pairs.levels}
    write_prepared(folder, "pairs", pairs.form, pairs.facts, sequences, arrays, documents)


def load_pairs(folder: Path) -> Pairs:
    """Read prepared pairs, without reading the arrays into memory.

    Raises:
        DataError: something is missing or damaged.
    """
    form, facts, arrays = read_prepared(folder, "pairs", PairsForm)
    levels = arrays.pop(LEVELS, None)
    symbols = {"source": len(form.source), "target": len(form.answers)}
    widths = {"source": form.source_width, "target": form.target_width}
    found = check_sequences(
        folder,
        arrays,
        {f"{s}.{side}": (widths[side], symbols[side]) for s in SPLITS for side in widths},
    )
    sources, targets = ({s: found[f"{s}.{side}"] for s in SPLITS} for side in widths)
    pairs = Pairs(form, sources, targets, facts, read_texts(folder, Texts), levels)
    _check(folder, pairs)
    return pairs


def check_targets(folder: Path, answers: Vocabulary, targets: Mapping[str, Sequences]) -> None:
    """Check that targets begin with the start symbol, and go on.

    Raises:
        DataError: one does not.
    """
    for of in targets.values():
        if (np.asarray(of.ids[:, 0]) != answers["start"]).any():
            raise DataError(f"{folder}: not all targets begin with the start symbol")
        if (np.asarray(of.lengths) < 2).any():
            raise DataError(f"{folder}: a target has no answer")


def _check(folder: Path, pairs: Pairs) -> None:
    levels = pairs.levels
    check_targets(folder, pairs.form.answers, pairs.targets)
    if levels is not None and (levels.shape != (len(pairs.sources["train"]),) or levels.min() < 1):
        raise DataError(f"{folder} does not say how hard each pair of train is")
    for split in SPLITS:
        targets = pairs.targets[split]
        if len(pairs.sources[split]) != len(targets):
            raise DataError(f"{folder}: {split} has more sources than targets, or fewer")
        if pairs.texts is not None:
            of = pairs.texts[split]
            if not len(of.questions) == len(of.references) == len(targets):
                raise DataError(f"{folder}: {split} has more texts than pairs, or fewer")
