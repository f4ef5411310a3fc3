"""Captions: a picture, answered by a sentence that says what is on it.

Built in are drawn scenes. Some combinations of shape and colour are never shown in train: they are
tested apart, for they ask whether a model has understood the parts. Otherwise a folder of pictures
with a file of captions is read: a table with a header (CSV, or `.tsv` with tabs) or JSON lines; a
picture that stands there several times has several captions. A picture stands in one split alone.
"""

import hashlib
import json
from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from unroll.data.captioned import Captioned, Captions, from_captions
from unroll.data.found import check_free, read_found, read_rows
from unroll.data.pictures import read_picture, to_png, to_text
from unroll.data.properties import Property, of_values
from unroll.data.scenes import Scene, draw_scene, read_scene
from unroll.data.sequences import SPLITS
from unroll.data.source import SourceOptions
from unroll.data.splits import splits_of
from unroll.data.vocabulary import RESERVED, Unit, split
from unroll.errors import DataError
from unroll.options import Count
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task

BUILT_IN = "scenes"
LONGEST = 1_000  # symbols of a caption


class CaptionsDataOptions(SourceOptions):
    """The data section of a captions task."""

    built_in, own = BUILT_IN, "a folder"
    of_built_in = ("train", "new_combinations")
    of_own = ("captions", "file_column", "caption_column", "minimum_count")

    kind: Literal["captions"]
    source: str = BUILT_IN
    size: Annotated[int, Field(ge=16, le=256)] = 32  # width and height of what a model sees
    captions: str = "captions.csv"  # the file in the folder
    file_column: str = "file"
    caption_column: str = "caption"
    weights: str | None = None  # the file of a ResNet, for `encoder: pretrained`
    unit: Unit = "token"
    minimum_count: Count = 1
    train: Count = 10_000
    valid: Count = 1_000
    test: Count = 2_000
    new_combinations: Count = 500  # scenes of the test split, beside those
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1984


class CaptionsTask(Task[CaptionsDataOptions]):
    """Pictures, and what is on them."""

    kind = "captions"
    Options = CaptionsDataOptions
    keeps_texts = True
    axes: ClassVar = {"combination": "shape and colour", "scene": "what is in the picture"}

    @property
    def example(self) -> str:
        """A drawn scene, as the text of a PNG."""
        random = numpy_generator(0, "captions", "example")
        scene = draw_scene(random, held_out=False)
        return to_text(to_png(scene.draw(self.options.size, random)))

    def prepare(self) -> Captioned:
        """Draw scenes, or read a folder.

        Raises:
            DataError: there is no such folder, a file of it cannot be read, or it has too few; or
                `weights` is no file of those of a ResNet.
        """
        data = self._scenes() if self.options.is_built_in else self._folder()
        return data if self.options.weights is None else self._pretrained(data)

    def _pretrained(self, data: Captioned) -> Captioned:
        """Return the data with the weights of an encoder, which models take from there."""
        from unroll.models.resnet import read_weights

        assert self.options.weights is not None
        net, weights = read_weights(Path(self.options.weights))
        facts = {**data.facts, "encoder": {"net": net, "weights": self.options.weights}}
        form = data.form.model_copy(update={"net": net})
        return replace(data, form=form, facts=facts, weights=weights)

    def same(self, question: str) -> Hashable:
        """Return the scene, or the file's name with its content: none in two splits."""
        return question

    def properties(self, questions: Sequence[str]) -> list[Property]:
        """Return what scenes show, and whether their combinations were in train."""
        if not self.options.is_built_in:
            return []
        scenes = [read_scene(text) for text in questions]
        return [
            of_values("combination", ["new" if s.is_held_out else "seen" for s in scenes]),
            of_values("scene", [_sort(scene) for scene in scenes]),
        ]

    def is_true(self, question: str, answer: str) -> bool | None:
        """Say whether a caption is true of a scene; of a picture from a file nobody knows."""
        return read_scene(question).is_true(answer) if self.options.is_built_in else None

    def mistake(self, expected: str, answered: str) -> str:
        """Return the first word that differs."""
        pairs = zip(expected.split(), answered.split(), strict=False)
        wrong = next(((one, other) for one, other in pairs if one != other), None)
        return f"{wrong[1]} instead of {wrong[0]}" if wrong else "too short or too long"

    def _scenes(self) -> Captioned:
        options = self.options
        counts = {"train": options.train, "valid": options.valid, "test": options.test}
        random = numpy_generator(options.seed, "captions", "scenes")
        seen = iter(_different(sum(counts.values()), False, random))
        drawn = {name: list(islice(seen, count)) for name, count in counts.items()}
        new = _different(options.new_combinations, True, random)
        drawn["test"] += new
        splits = {
            name: Captions(
                names=[str(scene) for scene in scenes],
                captions=[[options.plain(c) for c in scene.captions()] for scene in scenes],
            )
            for name, scenes in drawn.items()
        }
        pixels = {
            name: np.stack([scene.draw(options.size, random) for scene in scenes])
            for name, scenes in drawn.items()
        }
        facts = {"source": BUILT_IN, "of new combinations": len(new)}
        return from_captions(splits, pixels, options.unit, facts)

    def _folder(self) -> Captioned:
        options, folder = self.options, Path(self.options.source)
        if not folder.is_dir():
            raise DataError(f"source: {folder} is no folder; name one, or choose: {BUILT_IN}")
        rows, notes = self._rows(folder / options.captions)
        captions: dict[str, dict[str, None]] = {}
        for name, caption, place in rows:
            plain = options.plain(caption)
            length = len(split(plain, options.unit))
            if not length:
                raise DataError(f"{place}: there is no caption")
            if length > LONGEST or not _can_be_written(plain):
                raise DataError(f"{place}: no caption, but a text of {length:,} symbols")
            check_free(split(plain, options.unit), RESERVED, place)
            captions.setdefault(name, {})[plain] = None
        pixels = {name: read_picture(folder / name, options.size) for name in captions}
        # The same picture under two names is one picture.
        digests = {n: hashlib.sha256(p.tobytes()).hexdigest() for n, p in pixels.items()}
        of = splits_of(
            list(dict.fromkeys(digests.values())),
            options.valid,
            options.test,
            numpy_generator(options.seed, "captions", "splits"),
            f"pictures of {folder}",
        )
        names = {s: [n for n in captions if of[digests[n]] == s] for s in SPLITS}
        facts = {
            "source": str(folder),
            "captions": sum(map(len, captions.values())),
            **({"found": notes} if notes else {}),
        }
        found = {
            s: Captions(names=of_split, captions=[list(captions[name]) for name in of_split])
            for s, of_split in names.items()
        }
        return from_captions(
            found,
            {s: np.stack([pixels[name] for name in of_split]) for s, of_split in names.items()},
            options.unit,
            facts,
            options.minimum_count,
        )

    def _rows(self, path: Path) -> tuple[list[tuple[str, str, str]], list[str]]:
        """Return the file's name, the caption and the place of each row of a captions file."""
        columns = (self.options.file_column, self.options.caption_column)
        if not path.name.endswith((".jsonl", ".json")):
            rows, notes = read_rows(path, columns)
            return [(name, caption, place) for (name, caption), place in rows], notes
        text, notes = read_found(path)
        found = []
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                found += _read_line(line, columns, f"{path}, line {number}")
        return found, notes


def _read_line(line: str, columns: tuple[str, str], place: str) -> list[tuple[str, str, str]]:
    """Return what a line of JSON says: the captions of a picture, one or a list of them."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise DataError(f"{place}: not valid JSON; a line is one object") from None
    name, captions = (value.get(c) if isinstance(value, dict) else None for c in columns)
    several = [captions] if isinstance(captions, str) else captions
    if not isinstance(name, str) or not isinstance(several, list) or not several:
        raise DataError(f"{place}: an object with {columns[0]} and {columns[1]} is expected")
    if not all(isinstance(caption, str) for caption in several):
        raise DataError(f"{place}: a caption is no text")
    return [(name, caption, place) for caption in several]


def _different(count: int, held_out: bool, random: np.random.Generator) -> list[Scene]:
    """Return so many scenes, no two of which are written alike."""
    found: dict[str, Scene] = {}
    while len(found) < count:
        scene = draw_scene(random, held_out)
        found[str(scene)] = scene
    return list(found.values())


def _can_be_written(text: str) -> bool:
    """Say whether a text has no halves of symbols, as JSON can."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _sort(scene: Scene) -> str:
    alike = len({thing.name for thing in scene.things}) == 1
    if len(scene.things) == 1:
        return "one, in a place"
    return "several alike" if alike else "two, one beside the other"
