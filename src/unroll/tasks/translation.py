"""Translation: numbers in words, built in, or pairs of sentences from a file.

Numbers are written by num2words, which has English, French and Korean (babel writes dates, but no
numbers in words); the tests check that no two numbers are written alike. A file has a pair on each
line, source and target between tabs, as those of Tatoeba that manythings.org publishes; a third
column, the attribution, is left out.

No source stands in two splits: whatever is the same source, with its case, accents and punctuation
as the options say, goes with all its translations into one.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from num2words import num2words
from pydantic import Field

from unroll.data.found import read_found
from unroll.data.pairs import Pairs, from_translations
from unroll.data.properties import Property, of_bands
from unroll.data.sequences import SPLITS
from unroll.data.vocabulary import Unit, split
from unroll.errors import DataError, UserError
from unroll.options import Count, Strict
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task

Language = Literal["en", "fr", "ko"]
NUMBERS = 1_000_000  # from 0
LENGTHS = [1, 3, 5, 8, 13, 21]  # where bands of lengths begin
PUNCTUATION = re.compile(r"[^\w\s'’-]|_")


class TranslationOptions(Strict):
    """The data section of a translation task."""

    kind: Literal["translation"]
    source: str = "numbers"
    from_language: Language = "en"
    to_language: Language = "fr"
    from_column: Count = 1
    to_column: Count = 2
    from_unit: Unit = "token"
    to_unit: Unit = "token"
    lower_case: bool = False
    accents: Literal["keep", "strip"] = "keep"
    punctuation: Literal["keep", "strip"] = "keep"
    minimum_count: Count = 1
    longest_source: Count = 50
    longest_target: Count = 50
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
        return self._written(1984, options.from_language) if options.source == "numbers" else ""

    def prepare(self) -> Pairs:
        """Write numbers in words, or read a file of pairs.

        Raises:
            UserError: more numbers are asked for than there are, or one language twice.
            DataError: the file is missing, or has a line that is no pair.
        """
        return self._numbers() if self.options.source == "numbers" else self._file()

    def question(self, text: str) -> str:
        """Return a text as those of the data were made.

        Raises:
            UserError: nothing is left of it.
        """
        plain = self._plain(text)
        if not plain:
            raise UserError(f"{text!r} has nothing to translate")
        return plain

    def properties(self, questions: Sequence[str]) -> list[Property]:
        """Return the bands of their lengths."""
        lengths = np.array([len(split(question, self.options.from_unit)) for question in questions])
        return [of_bands("source length", lengths, LENGTHS)]

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

    def _plain(self, text: str) -> str:
        """Return a text with single blanks, and what the options ask for."""
        options = self.options
        plain = unicodedata.normalize("NFC", text)
        if options.lower_case:
            plain = plain.lower()
        if options.accents == "strip":
            parts = unicodedata.normalize("NFD", plain)
            marks = "".join(s for s in parts if unicodedata.category(s) != "Mn")
            plain = unicodedata.normalize("NFC", marks)
        if options.punctuation == "strip":
            plain = PUNCTUATION.sub(" ", plain)
        return " ".join(plain.split())

    def _written(self, number: int, language: str) -> str:
        return self._plain(str(num2words(number, lang=language)))

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
        return from_translations(rows, (options.from_unit, options.to_unit), {"source": "numbers"})

    def _file(self) -> Pairs:
        path, options = Path(self.options.source), self.options
        if not path.is_file():
            raise DataError(f"source: {path} is no file; name one, or choose: numbers")
        text, notes = read_found(path)
        pairs = [
            self._pair(line, f"{path}, line {n}")
            for n, line in enumerate(text.removesuffix("\n").split("\n"), 1)
            if line.strip()
        ]
        short = [
            (source, target)
            for source, target in dict.fromkeys(pairs)
            if len(split(source, options.from_unit)) <= options.longest_source
            and len(split(target, options.to_unit)) <= options.longest_target
        ]
        rows = self._by_source(short, path)
        facts: dict[str, object] = {
            "source": str(path),
            "pairs": len(pairs),
            "different": len(dict.fromkeys(pairs)),
            "too long": len(dict.fromkeys(pairs)) - len(short),
            **({"found": notes} if notes else {}),
        }
        return from_translations(
            rows, (options.from_unit, options.to_unit), facts, options.minimum_count
        )

    def _pair(self, line: str, place: str) -> tuple[str, str]:
        columns = line.split("\t")
        wanted = (self.options.from_column, self.options.to_column)
        if max(wanted) > len(columns):
            raise DataError(
                f"{place}: {len(columns)} columns, but column {max(wanted)} is asked for"
            )
        source, target = (self._plain(columns[column - 1]) for column in wanted)
        if not source or not target:
            raise DataError(f"{place}: a side of {line!r} is empty")
        return source, target

    def _by_source(
        self, pairs: Sequence[tuple[str, str]], path: Path
    ) -> Mapping[str, list[tuple[str, str]]]:
        """Return the pairs of each split: all translations of a source are in one of them."""
        options = self.options
        sources = np.array(list(dict.fromkeys(source for source, _ in pairs)), dtype=object)
        held_out = options.valid + options.test
        if len(sources) <= held_out:
            raise DataError(
                f"{path} has {len(sources):,} different sources that are short enough; valid and "
                f"test ask for {held_out:,}"
            )
        order = numpy_generator(options.seed, "translation", "splits").permutation(len(sources))
        of = dict.fromkeys(sources[order[:held_out]].tolist(), "valid")
        of |= dict.fromkeys(sources[order[: options.test]].tolist(), "test")
        rows: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLITS}
        for source, target in pairs:
            rows[of.get(source, "train")].append((source, target))
        return rows
