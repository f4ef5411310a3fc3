"""Sentences, each with a label: what it is about, or whatever a table of a user's own says.

Built in are the topics of the conversations of chatterbot-corpus. A file is a table with a header,
CSV or with tabs, of which two columns are read. A sentence stands in one split alone, and one that
has two labels in none.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from unroll.data.dialogue import conversations
from unroll.data.found import check_free, read_rows
from unroll.data.labels import Labelled, from_texts
from unroll.data.properties import Property, of_lengths
from unroll.data.sequences import SPLITS
from unroll.data.source import SourceOptions
from unroll.data.splits import splits_of
from unroll.data.vocabulary import SPECIAL, Unit, split
from unroll.errors import DataError, UserError
from unroll.options import Count
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task

BUILT_IN = "chatterbot"


class SentencesOptions(SourceOptions):
    """The data section of a sentences task."""

    built_in = BUILT_IN
    of_built_in = ("language",)
    of_own = ("text_column", "label_column")

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


class Sentences(Task[SentencesOptions]):
    """Sentences, and the label of each."""

    kind = "labels"
    Options = SentencesOptions
    keeps_texts = True
    axes: ClassVar = {"length": "symbols of the sentence"}

    @property
    def example(self) -> str:
        """Something to say in English; of another language there is none."""
        english = self.options.is_built_in and self.options.language == "english"
        return self.options.plain("What is your favorite book?") if english else ""

    def prepare(self) -> Labelled:
        """Read the sentences, and draw those that are held out.

        Raises:
            UserError: there is no such language.
            DataError: the file is no such table, or has too few sentences.
        """
        options = self.options
        rows, facts = self._built_in() if options.is_built_in else self._file()
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
        lengths = [len(split(question, self.options.unit)) for question in questions]
        return [of_lengths("length", lengths)]

    def mistake(self, expected: str, answered: str) -> str:
        """Return both labels."""
        return f"{answered} instead of {expected}"

    def _built_in(self) -> tuple[list[tuple[str, str]], dict[str, object]]:
        options = self.options
        found = conversations(options.language)
        rows = [(options.plain(turn), topic) for topic, turns in found for turn in turns]
        return rows, {"source": BUILT_IN, "language": options.language}

    def _file(self) -> tuple[list[tuple[str, str]], dict[str, object]]:
        options, path = self.options, self.options.file()
        found, notes = read_rows(path, (options.text_column, options.label_column))
        rows = []
        for (text, label), place in found:
            if not label.strip():
                raise DataError(f"{place}: there is no label")
            plain = options.plain(text)
            check_free(split(plain, options.unit), {SPECIAL["pad"]}, place)
            rows.append((plain, label.strip()))
        return rows, {"source": str(path), **({"found": notes} if notes else {})}
