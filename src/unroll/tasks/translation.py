"""Translation: numbers in words, built in, or pairs of sentences from a file.

Numbers are written by num2words, which has English, French and Korean (babel writes dates, but no
numbers in words); the tests check that no two numbers are written alike. A file has a pair on each
line, source and target between tabs, as those of Tatoeba that manythings.org publishes; a third
column, the attribution, is left out.

No source stands in two splits: whatever is the same source, with its case, accents and punctuation
as the options say, goes with all its translations into one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from num2words import num2words
from pydantic import Field

from unroll.data.found import check_free, read_found
from unroll.data.pairs import Pairs, from_translations
from unroll.data.properties import Property, of_lengths
from unroll.data.sequences import SPLITS
from unroll.data.source import SourceOptions
from unroll.data.splits import splits_of
from unroll.data.vocabulary import RESERVED, Unit, split
from unroll.errors import DataError, UserError
from unroll.options import Count
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task

Language = Literal["en", "fr", "ko"]
BUILT_IN = "numbers"
NUMBERS = 1_000_000  # from 0
Longest = Annotated[int, Field(ge=1, le=9_998)]


class TranslationOptions(SourceOptions):
    """The data section of a translation task."""

    built_in = BUILT_IN
    of_built_in = ("from_language", "to_language", "train")
    of_own = ("from_column", "to_column", "minimum_count", "longest_source", "longest_target")

    kind: Literal["translation"]
    source: str = BUILT_IN
    from_language: Language = "en"
    to_language: Language = "fr"
    from_column: Count = 1
    to_column: Count = 2
    from_unit: Unit = "token"
    to_unit: Unit = "token"
    minimum_count: Count = 1
    longest_source: Longest = 50
    longest_target: Longest = 50
    train: Count = 20_000
    valid: Count = 2_000
    test: Count = 2_000
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1984


class Translation(Task[TranslationOptions]):
    """Texts of one language, answered by texts of another."""

    kind = "pairs"
    Options = TranslationOptions
    keeps_texts = True
    axes: ClassVar = {"source length": "symbols of the source"}

    @property
    def example(self) -> str:
        """A number in words; of a file there is none."""
        options = self.options
        return self._written(1984, options.from_language) if options.is_built_in else ""

    def prepare(self) -> Pairs:
        """Write numbers in words, or read a file of pairs.

        Raises:
            UserError: more numbers are asked for than there are, or one language twice.
            DataError: the file is missing, or has a line that is no pair.
        """
        return self._numbers() if self.options.is_built_in else self._file()

    def question(self, text: str) -> str:
        """Return a text as those of the data were made.

        Raises:
            UserError: nothing is left of it.
        """
        plain = self.options.plain(text)
        if not plain:
            raise UserError(f"{text!r} has nothing to translate")
        return plain

    def properties(self, questions: Sequence[str]) -> list[Property]:
        """Return the bands of their lengths."""
        lengths = [len(split(question, self.options.from_unit)) for question in questions]
        return [of_lengths("source length", lengths)]

    def mistake(self, expected: str, answered: str) -> str:
        """Return how many symbols of a wrong answer are right."""
        wanted, given = (
            Counter(split(text, self.options.to_unit)) for text in (expected, answered)
        )
        right = (wanted & given).total()
        if right == wanted.total() == given.total():
            return "all in another order"
        if not right:
            return "nothing right"
        return (
            "half of it right, or more"
            if 2 * right >= wanted.total()
            else "less than half of it right"
        )

    def _written(self, number: int, language: str) -> str:
        return self.options.plain(str(num2words(number, lang=language)))

    def _numbers(self) -> Pairs:
        options = self.options
        counts = {"train": options.train, "valid": options.valid, "test": options.test}
        if options.from_language == options.to_language:
            raise UserError(f"from_language and to_language are both {options.from_language}")
        if sum(counts.values()) > NUMBERS:
            raise UserError(
                f"train, valid and test together exceed the {NUMBERS:,} numbers there are"
            )
        random = numpy_generator(options.seed, "translation", "numbers")
        chosen = random.choice(NUMBERS, sum(counts.values()), replace=False)
        parts = np.split(chosen, np.cumsum([options.train, options.valid]))
        rows = {
            split: [
                (self._written(n, options.from_language), self._written(n, options.to_language))
                for n in part.tolist()
            ]
            for split, part in zip(counts, parts, strict=True)
        }
        return from_translations(rows, (options.from_unit, options.to_unit), {"source": BUILT_IN})

    def _file(self) -> Pairs:
        path, options = self.options.file(), self.options
        text, notes = read_found(path)
        pairs = [
            self._pair(line, f"{path}, line {n}")
            for n, line in enumerate(text.split("\n"), 1)
            if line.strip()
        ]
        different = {pair: self._lengths(*pair) for pair in pairs}
        whole = {pair: lengths for pair, lengths in different.items() if min(lengths)}
        longest = (options.longest_source, options.longest_target)
        short = [pair for pair, of in whole.items() if of[0] <= longest[0] and of[1] <= longest[1]]
        rows = self._by_source(short)
        facts: dict[str, object] = {
            "source": str(path),
            "pairs": len(pairs),
            "different": len(different),
            "a side empty": len(different) - len(whole),
            "too long": len(whole) - len(short),
            **({"found": notes} if notes else {}),
        }
        units = (options.from_unit, options.to_unit)
        data = from_translations(rows, units, facts, options.minimum_count)
        if len(data.form.answers) == len(data.form.answers.special):
            raise DataError(f"minimum_count: no symbol of {path} stands so often; lower it")
        return data

    def _lengths(self, source: str, target: str) -> tuple[int, int]:
        options = self.options
        return len(split(source, options.from_unit)), len(split(target, options.to_unit))

    def _pair(self, line: str, place: str) -> tuple[str, str]:
        columns = line.split("\t")
        wanted = (self.options.from_column, self.options.to_column)
        if max(wanted) > len(columns):
            raise DataError(
                f"{place}: {len(columns)} columns, but column {max(wanted)} is asked for; mend "
                "the line, or from_column and to_column"
            )
        source, target = (self.options.plain(columns[column - 1]) for column in wanted)
        for side, unit in ((source, self.options.from_unit), (target, self.options.to_unit)):
            check_free(split(side, unit), RESERVED, place)
        return source, target

    def _by_source(self, pairs: Sequence[tuple[str, str]]) -> Mapping[str, list[tuple[str, str]]]:
        """Return the pairs of each split: all translations of a source are in one of them."""
        options = self.options
        of = splits_of(
            list(dict.fromkeys(source for source, _ in pairs)),
            options.valid,
            options.test,
            numpy_generator(options.seed, "translation", "splits"),
            f"sources of {options.source}",
        )
        rows: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLITS}
        for source, target in pairs:
            rows[of[source]].append((source, target))
        return rows
