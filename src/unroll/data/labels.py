"""Labelled sequences: a text, and the class to which it belongs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from unroll.data.pairs import Width
from unroll.data.prepared import TEXTS, check_sequences, read_prepared, read_texts, write_prepared
from unroll.data.sequences import SPLITS, Sequences, encode
from unroll.data.vocabulary import Unit, Vocabulary
from unroll.errors import DataError
from unroll.options import Strict


class LabelsForm(Strict):
    """What a model must know of its data: the symbols, the greatest length, and the labels."""

    source: Vocabulary
    source_width: Width
    labels: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=2)]

    @model_validator(mode="after")
    def _check(self) -> "LabelsForm":
        if "pad" not in self.source.special:
            raise ValueError("the vocabulary has no symbol for pad")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("a label stands there twice")
        return self


@dataclass(frozen=True)
class Labelled:
    """Prepared data: for each split, sources, and the number (N,) of each one's label.

    `texts` are the sources as they were, where the vocabulary may lack a symbol of theirs.
    """

    form: LabelsForm
    sources: dict[str, Sequences]
    labels: dict[str, np.ndarray]
    facts: dict[str, Any]
    texts: dict[str, list[str]] | None = None

    def questions(self, split: str) -> list[str]:
        """Return the sources of a split as texts."""
        if self.texts is not None:
            return self.texts[split]
        return self.sources[split].texts(self.form.source)

    def answers(self, split: str) -> list[str]:
        """Return the labels of a split."""
        return [self.form.labels[i] for i in self.labels[split].tolist()]


def from_texts(
    splits: Mapping[str, Sequence[tuple[str, str]]],
    unit: Unit = "character",
    facts: Mapping[str, Any] | None = None,
    minimum_count: int = 1,
) -> Labelled:
    """Build labelled sequences from the rows (text, label) of each split.

    The vocabulary is of what stands in train at least `minimum_count` times; what else there is
    becomes `<unk>`.

    Raises:
        DataError: a text is empty, or no symbol stands so often; the message says which.
    """
    vocabulary = Vocabulary.of_texts(
        (text for text, _ in splits["train"]), unit, "pad", "unknown", minimum_count=minimum_count
    )
    if len(vocabulary) == len(vocabulary.special):
        raise DataError("minimum_count: no symbol stands so often in train; lower it")
    rows = [row for of in splits.values() for row in of]
    width = max(len(vocabulary.split(text)) for text, _ in rows)
    names = sorted({label for _, label in rows})
    form = LabelsForm(source=vocabulary, source_width=width, labels=names)
    texts = {split: [text for text, _ in of] for split, of in splits.items()}
    sources = {split: encode(of, vocabulary, width, split) for split, of in texts.items()}
    numbers = {name: number for number, name in enumerate(names)}
    labels = {
        split: np.array([numbers[label] for _, label in of], dtype=np.int32)
        for split, of in splits.items()
    }
    counts = {"counts": {split: len(of) for split, of in splits.items()}}
    return Labelled(form, sources, labels, {**(facts or {}), **counts}, texts)


def save_labelled(data: Labelled, folder: Path) -> None:
    """Write prepared data; an earlier folder is replaced only when all is written."""
    sequences = {f"{split}.source": data.sources[split] for split in SPLITS}
    arrays = {f"{split}.labels": data.labels[split] for split in SPLITS}
    documents = {TEXTS: data.texts} if data.texts else {}
    write_prepared(folder, "labels", data.form, data.facts, sequences, arrays, documents)


def load_labelled(folder: Path) -> Labelled:
    """Read prepared data, without reading the arrays into memory.

    Raises:
        DataError: something is missing or damaged.
    """
    form, facts, arrays = read_prepared(folder, "labels", LabelsForm)
    labels = {split: arrays.pop(f"{split}.labels", np.empty(0)) for split in SPLITS}
    bounds = (form.source_width, len(form.source))
    found = check_sequences(folder, arrays, {f"{split}.source": bounds for split in SPLITS})
    sources = {split: found[f"{split}.source"] for split in SPLITS}
    for split, numbers in labels.items():
        fits = numbers.shape == (len(sources[split]),) and numbers.dtype.kind == "i"
        if not fits or numbers.min() < 0 or numbers.max() >= len(form.labels):
            raise DataError(f"{folder}: {split} has no label for each source")
    texts = read_texts(folder, list[str])
    if texts is not None and any(len(texts[s]) != len(of) for s, of in sources.items()):
        raise DataError(f"{folder} does not have the text of each source")
    return Labelled(form, sources, labels, facts, texts)
