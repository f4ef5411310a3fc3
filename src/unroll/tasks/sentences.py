"""Sentences, each with a label: what it is about, or whatever a table of a user's own says.

Built in are the topics of the conversations of chatterbot-corpus. A file is a table with a header,
CSV or with tabs, of which two columns are read. A sentence stands in one split alone, and one that
has two labels in none.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from unroll.data.dialogue import conversations
from unroll.data.found import read_rows
from unroll.data.labels import Labelled, from_texts
from unroll.data.plain import PlainOptions
from unroll.data.properties import Property, of_bands
from unroll.data.sequences import SPLITS
from unroll.data.splits import splits_of
from unroll.data.vocabulary import SPECIAL, Unit, split
from unroll.errors import DataError, UserError
from unroll.options import Count
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task

BUILT_IN = "chatterbot"
LENGTHS = [1, 3, 5, 8, 13, 21]  # where bands of lengths begin

# Options that do nothing, by whether the built-in corpus or a file is read.
IDLE = {True: ("text_column", "label_column"), False: ("language",)}


class SentencesOptions(PlainOptions):
    """The data section of a sentences task."""

    kind: Literal["sentences"]
    source: str = BUILT_IN
    language: str = "english"
    text_column: str = "text"
    label_column: str = "label"
    unit: Unit = "token"
    minimum_count: Count = 1
    longest: Annotated[int, Field(ge=1, le=10_000)] = 50
    fewest: Count = 1  # sentences of a label that is learned
    valid: Count = 200
    test: Count = 200
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1984

    @model_validator(mode="after")
    def _all_have_an_effect(self) -> "SentencesOptions":
        built_in, fields = self.source == BUILT_IN, type(self).model_fields
        idle = [name for name in IDLE[built_in] if getattr(self, name) != fields[name].default]
        if idle:
            of = "a file" if built_in else BUILT_IN
            raise ValueError(f"{', '.join(idle)}: only of {of}; leave it out")
        return self


class Sentences(Task[SentencesOptions]):
    """Sentences, and the label of each."""

    kind = "labels"
    Options = SentencesOptions
    keeps_texts = True
    axes: ClassVar = {"length": "symbols of the sentence"}

    @property
    def example(self) -> str:
        """Something to say in English; of another language there is none."""
        built_in = self.options.source == BUILT_IN and self.options.language == "english"
        return self.options.plain("What is your favorite book?") if built_in else ""

    def prepare(self) -> Labelled:
        """Read the sentences, and draw those that are held out.

        Raises:
            UserError: there is no such language.
            DataError: the file is no such table, or has too few sentences.
        """
        options = self.options
        rows, facts = self._built_in() if options.source == BUILT_IN else self._file()
        different = list(dict.fromkeys(row for row in rows if split(row[0], options.unit)))
        labels = Counter(text for text, _ in different)
        plain = [row for row in different if labels[row[0]] == 1]
        short = [row for row in plain if len(split(row[0], options.unit)) <= options.longest]
        sizes = Counter(label for _, label in short)
        kept = [row for row in short if sizes[row[1]] >= options.fewest]
        if len({label for _, label in kept}) < 2:
            raise DataError(f"{options.source}: fewer than two labels are left")
        of = splits_of(
            [text for text, _ in kept],
            options.valid,
            options.test,
            numpy_generator(options.seed, "sentences", "splits"),
            f"sentences of {options.source}",
        )
        splits = {s: [row for row in kept if of[row[0]] == s] for s in SPLITS}
        facts |= {
            "sentences": len(rows),
            "different": len(different),
            "of two labels": len(different) - len(plain),
            "too long": len(plain) - len(short),
            "of labels with too few": len(short) - len(kept),
            "labels": dict(Counter(label for _, label in kept).most_common()),
        }
        return from_texts(splits, options.unit, facts, options.minimum_count)

    def question(self, text: str) -> str:
        """Return a text as those of the data were made.

        Raises:
            UserError: nothing is left of it.
        """
        plain = self.options.plain(text)
        if not split(plain, self.options.unit):
            raise UserError(f"{text!r} has nothing in it")
        return plain

    def properties(self, questions: Sequence[str]) -> list[Property]:
        """Return the bands of their lengths."""
        lengths = np.array([len(split(question, self.options.unit)) for question in questions])
        return [of_bands("length", lengths, LENGTHS)]

    def mistake(self, expected: str, answered: str) -> str:
        """Return both labels."""
        return f"{answered} instead of {expected}"

    def _built_in(self) -> tuple[list[tuple[str, str]], dict[str, object]]:
        options = self.options
        found = conversations(options.language)
        rows = [(options.plain(turn), topic) for topic, turns in found for turn in turns]
        return rows, {"source": BUILT_IN, "language": options.language}

    def _file(self) -> tuple[list[tuple[str, str]], dict[str, object]]:
        options, path = self.options, Path(self.options.source)
        if not path.is_file():
            raise DataError(f"source: {path} is no file; name one, or choose: {BUILT_IN}")
        found, notes = read_rows(path, (options.text_column, options.label_column))
        rows = []
        for (text, label), place in found:
            if not label.strip():
                raise DataError(f"{place}: there is no label")
            plain = options.plain(text)
            if reserved := set(split(plain, options.unit)) & {SPECIAL["pad"]}:
                raise DataError(f"{place}: {reserved.pop()} has a meaning here; write it otherwise")
            rows.append((plain, label.strip()))
        return rows, {"source": str(path), **({"found": notes} if notes else {})}
