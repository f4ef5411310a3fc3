"""Captioned pictures: pictures, and the sentences that say what is on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from unroll.data.pairs import Pairs, Texts, Width, check_targets
from unroll.data.pictures import Pictures
from unroll.data.prepared import TEXTS, check_sequences, read_prepared, read_texts, write_prepared
from unroll.data.sequences import SPLITS, encode
from unroll.data.vocabulary import Unit, Vocabulary
from unroll.errors import DataError
from unroll.options import Strict

WEIGHTS = "weights"  # the array that holds them, where there are any


class CaptionedForm(Strict):
    """What a model must know: the size of pictures, the symbols of captions and their number.

    And, where the data hold the weights of a pretrained encoder, of which net they are.
    """

    size: Annotated[int, Field(ge=8, le=1_024)]
    net: str | None = None
    answers: Vocabulary
    target_width: Annotated[Width, Field(ge=2)]

    @model_validator(mode="after")
    def _special_symbols(self) -> "CaptionedForm":
        for role in ("pad", "start", "end"):
            if role not in self.answers.special:
                raise ValueError(f"the vocabulary has no symbol for {role}")
        return self


@dataclass(frozen=True)
class Captioned(Pairs):
    """Prepared data. The question of a picture is its name, and captions are its answers."""

    form: CaptionedForm  # type: ignore[assignment]
    sources: dict[str, Pictures]  # type: ignore[assignment]
    weights: np.ndarray | None = None  # of a pretrained encoder: float32, as bytes


class Captions(Strict):
    """The pictures of a split, as they are found: a name and the captions of each."""

    names: list[str]
    captions: list[list[str]]


def from_captions(
    splits: Mapping[str, Captions],
    pixels: Mapping[str, np.ndarray],
    unit: Unit,
    facts: Mapping[str, Any],
    minimum_count: int = 1,
) -> Captioned:
    """Build captioned pictures from captions and pixels (P, 3, S, S) of each split.

    In train each caption of a picture is an example, elsewhere each picture, with all of its
    captions as references.

    Raises:
        DataError: a caption is empty.
    """
    rows = {
        split: [
            (number, caption)
            for number, captions in enumerate(of.captions)
            for caption in (captions if split == "train" else captions[:1])
        ]
        for split, of in splits.items()
    }
    vocabulary = Vocabulary.of_texts(
        (caption for _, caption in rows["train"]),
        unit,
        *("pad", "start", "end", "unknown"),
        minimum_count=minimum_count,
    )
    if minimum_count > 1 and len(vocabulary) == len(vocabulary.special):
        raise DataError("minimum_count: no word stands so often in the captions of train; lower it")
    longest = max(len(vocabulary.split(caption)) for of in rows.values() for _, caption in of)
    form = CaptionedForm(
        size=pixels["train"].shape[2], answers=vocabulary, target_width=longest + 2
    )
    sources, targets, texts = {}, {}, {}
    for split, of in rows.items():
        shown = np.array([number for number, _ in of], dtype=np.int32)
        sources[split] = Pictures(pixels[split], shown)
        captions = [caption for _, caption in of]
        targets[split] = encode(captions, vocabulary, form.target_width, split, True, True)
        names, every = splits[split].names, splits[split].captions
        texts[split] = Texts(
            questions=[names[number] for number, _ in of],
            references=[[c] if split == "train" else every[number] for number, c in of],
        )
    counts = {"counts": {split: len(of) for split, of in rows.items()}}
    return Captioned(form, sources, targets, {**facts, **counts}, texts)


def save_captioned(data: Captioned, folder: Path) -> None:
    """Write prepared data; an earlier folder is replaced only when all is written."""
    sequences = {f"{split}.target": data.targets[split] for split in SPLITS}
    arrays = {f"{split}.pixels": data.sources[split].pixels for split in SPLITS}
    arrays |= {f"{split}.rows": data.sources[split].rows for split in SPLITS}
    if data.weights is not None:
        arrays[WEIGHTS] = data.weights
    texts = {split: of.model_dump() for split, of in (data.texts or {}).items()}
    write_prepared(folder, "captions", data.form, data.facts, sequences, arrays, {TEXTS: texts})


def load_captioned(folder: Path) -> Captioned:
    """Read prepared data, without reading the pictures into memory.

    Raises:
        DataError: something is missing or damaged.
    """
    form, facts, arrays = read_prepared(folder, "captions", CaptionedForm)
    sources = {split: _pictures(folder, split, arrays, form.size) for split in SPLITS}
    weights = arrays.pop(WEIGHTS, None)
    if (weights is None) != (form.net is None):
        raise DataError(f"{folder}: weights of an encoder and its name stand together, or neither")
    bounds = (form.target_width, len(form.answers))
    found = check_sequences(folder, arrays, {f"{split}.target": bounds for split in SPLITS})
    targets = {split: found[f"{split}.target"] for split in SPLITS}
    texts = read_texts(folder, Texts)
    if texts is None:
        raise DataError(f"{folder} does not hold the texts of the captions")
    check_targets(folder, form.answers, targets)
    for split, of in texts.items():
        if (
            not len(of.questions)
            == len(of.references)
            == len(targets[split])
            == len(sources[split])
        ):
            raise DataError(f"{folder}: {split} has more captions than pictures, or fewer")
    return Captioned(form, sources, targets, facts, texts, weights=weights)


def _pictures(folder: Path, split: str, arrays: dict[str, np.ndarray], size: int) -> Pictures:
    """Take the pictures of a split out of the arrays."""
    pixels, rows = (arrays.pop(f"{split}.{of}", np.empty(0)) for of in ("pixels", "rows"))
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (3, size, size):
        raise DataError(f"{folder}: {split} has no pictures of the size that form.json says")
    if rows.ndim != 1 or not len(rows) or rows.min() < 0 or rows.max() >= len(pixels):
        raise DataError(f"{folder}: {split} shows pictures that are not there")
    return Pictures(pixels, rows)
