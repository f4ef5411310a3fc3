"""Labelled sequences: a text, and the class to which it belongs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from unroll.data.pairs import Width
from unroll.data.prepared import check_sequences, read_prepared, write_prepared
from unroll.data.sequences import SPLITS, Sequences
from unroll.data.vocabulary import Vocabulary
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
    """Prepared data: for each split, sources, and the number (N,) of each one's label."""

    form: LabelsForm
    sources: dict[str, Sequences]
    labels: dict[str, np.ndarray]
    facts: dict[str, Any]

    def questions(self, split: str) -> list[str]:
        """Return the sources of a split as texts."""
        return self.sources[split].texts(self.form.source)

    def answers(self, split: str) -> list[str]:
        """Return the labels of a split."""
        return [self.form.labels[i] for i in self.labels[split].tolist()]


def save_labelled(data: Labelled, folder: Path) -> None:
    """Write prepared data; an earlier folder is replaced only when all is written."""
    sequences = {f"{split}.source": data.sources[split] for split in SPLITS}
    arrays = {f"{split}.labels": data.labels[split] for split in SPLITS}
    write_prepared(folder, "labels", data.form, data.facts, sequences, arrays)


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
    return Labelled(form, sources, labels, facts)
