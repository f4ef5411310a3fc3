"""Dates as people write them, answered in the form of ISO 8601: `27 mai 1994` by `1994-05-27`.

Forms and names are those that the Unicode CLDR has for a language, by babel: short, medium, long
and full. In English they are those of the book's data ("Deep Learning from Scratch 2", chapter 8):
`9/27/94`, `Sep 27, 1994`, `September 27, 1994`, `Tuesday, September 27, 1994`.

No calendar date stands in two splits, however it is written: else a model could be right on what
it has seen in another form, and reading a form would not be told from knowing a date.
"""

import re
import unicodedata
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from babel import Locale, UnknownLocaleError
from babel.dates import get_date_format, get_day_names, get_month_names
from pydantic import Field, model_validator

from unroll.data.found import read_found
from unroll.data.leakage import shared
from unroll.data.pairs import Pairs, from_texts
from unroll.data.properties import Property, of_values
from unroll.data.sequences import SPLITS
from unroll.errors import DataError, UserError
from unroll.options import Count, Strict
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task

CASES = (str, str.lower, str.upper)  # as it is, small and large letters
FIELDS = re.compile(r"'([^']*)'|([A-Za-z])\2*|.", re.DOTALL)  # of a pattern of the CLDR
ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
START = "_"  # between a date and its ISO form, in the book's file
FRUITLESS_ROUNDS = 50
Year = Annotated[int, Field(ge=1000, le=9999)]


class DatesOptions(Strict):
    """The data section of a dates task."""

    kind: Literal["dates"]
    source: str = "generated"
    languages: Annotated[list[str], Field(min_length=1)] = ["en", "fr", "de", "ko"]  # noqa: RUF012
    first_year: Year = 1970
    last_year: Year = 2017
    split: Literal["dates", "book"] = "dates"
    train: Count = 20_000
    valid: Count = 2_000
    test: Count = 2_000
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1984

    @model_validator(mode="after")
    def _years_of_one_century(self) -> "DatesOptions":
        if not 0 <= self.last_year - self.first_year < 100:
            raise ValueError(
                f"last_year {self.last_year} must be first_year {self.first_year} or at most 99 "
                "years later: forms such as 9/27/94 have two digits"
            )
        if self.split == "book" and self.source == "generated":
            raise ValueError("split: book is of a file; name it as source")
        return self


@dataclass(frozen=True)
class Part:
    """A part of a form: how it is written, and what can stand there."""

    name: str
    write: Callable[[date, str], str]  # of a date, in a language
    pattern: Callable[[str], str]  # of a language


@dataclass(frozen=True)
class Form:
    """A way to write a date: that of a language, in a style."""

    language: str
    style: Literal["short", "medium", "long", "full"]

    @cached_property
    def fields(self) -> list[tuple["Part | None", str]]:
        """What the form consists of: parts of a date, and text between them."""
        pattern = str(get_date_format(self.style, locale=self.language).pattern)
        found: list[tuple[Part | None, str]] = []
        for field in FIELDS.finditer(pattern):
            quoted, letter = field.groups()
            if letter and field[0] not in PARTS:
                raise UserError(
                    f"languages: dates in {self.language} have a part that is not known here "
                    f"({field[0]}); take another language"
                )
            found.append((PARTS[field[0]] if letter else None, quoted or field[0]))
        return found

    @cached_property
    def reader(self) -> re.Pattern[str]:
        """What reads a date in this form, whatever the size of its letters."""
        parts = [
            f"(?P<{part.name}>{part.pattern(self.language)})" if part else re.escape(_folded(text))
            for part, text in self.fields
        ]
        return re.compile("".join(parts))

    def write(self, day: date) -> str:
        """Return a date in this form."""
        return _plain("".join(p.write(day, self.language) if p else t for p, t in self.fields))

    def read(self, text: str, options: DatesOptions) -> date | None:
        """Return the date that a text has in this form, if it has one within the years."""
        found = self.reader.fullmatch(_folded(_plain(text)))
        if found is None:
            return None
        parts = found.groupdict()
        year = int(parts["year"])
        if len(parts["year"]) == 2:
            year += (options.first_year - year + 99) // 100 * 100  # the first that is not earlier
        months = _months("wide", self.language) + _months("abbreviated", self.language)
        name = parts.get("name")
        month = months.index(name) % 12 + 1 if name else int(parts["month"])
        try:
            day = date(year, month, int(parts["day"]))
        except ValueError:  # 30 February
            return None
        return day if options.first_year <= year <= options.last_year else None


class Dates(Task[DatesOptions]):
    """Dates in the forms of some languages, answered in ISO's."""

    kind = "pairs"
    Options = DatesOptions
    axes: ClassVar = {"language": "language", "style": "how it is written"}

    @cached_property
    def forms(self) -> list[Form]:
        """The forms of all languages.

        Raises:
            UserError: a language is not known to the CLDR.
        """
        for language in self.options.languages:
            try:
                Locale.parse(language)
            except (UnknownLocaleError, ValueError):
                raise UserError(
                    f"languages: {language!r} is no language that babel knows; write it as de or "
                    "pt_BR"
                ) from None
        return [
            Form(language, style)
            for language in self.options.languages
            for style in ("short", "medium", "long", "full")
        ]

    @property
    def example(self) -> str:
        """A date in the first language, written out."""
        return self.forms[2].write(date(self.options.first_year + 24 % self._years, 9, 27))

    @property
    def leaks(self) -> bool:
        """Whether its splits are known to share dates: those of the book's file, as it is."""
        return self.options.split == "book"

    def prepare(self) -> Pairs:
        """Write dates in all forms, or read a file in the book's format.

        Raises:
            UserError: more texts are asked for than there are, or one is read as two dates.
            DataError: the file is missing or has a line that is not of its format.
        """
        options = self.options
        if options.source != "generated":
            return self._read_file(Path(options.source))
        counts = {"train": options.train, "valid": options.valid, "test": options.test}
        days = self._shuffled_days()
        bounds = np.cumsum(list(counts.values())) * len(days) // sum(counts.values())
        splits = dict(zip(counts, np.split(days, bounds[:-1]), strict=True))
        rows = {split: self._draw(split, splits[split], counts[split]) for split in counts}
        return from_texts(rows, facts={"source": "generated"})

    def same(self, question: str) -> Hashable:
        """Return the date itself, however it is written."""
        return tuple(sorted({day for _, day in self._read(question)})) or question

    def question(self, text: str) -> str:
        """Return a date with single blanks, its digits those of ASCII.

        Raises:
            UserError: it is no date in any of the forms.
        """
        if not self._read(text):
            others = ", ".join(
                form.write(date(self.options.last_year, 5, 3)) for form in self.forms
            )
            raise UserError(
                f"{text!r} is no question of this model; it reads dates of "
                f"{self.options.first_year} to {self.options.last_year}, such as: {others}"
            )
        return _plain(text)

    def properties(self, questions: Sequence[str]) -> list[Property]:
        """Return the language and the style in which a date is written; the first that fits."""
        forms = [next((form for form, _ in self._read(q)), None) for q in questions]
        return [
            of_values("language", [form.language if form else "other" for form in forms]),
            of_values("style", [form.style if form else "other" for form in forms]),
        ]

    def mistake(self, expected: str, answered: str) -> str:
        """Return what is wrong in an answer: `another month`, or `no date`."""
        right, given = ISO.fullmatch(expected), ISO.fullmatch(answered)
        if right is None or given is None:
            return "no date"
        parts = zip(("year", "month", "day"), right.groups(), given.groups(), strict=True)
        return "another " + " and ".join(name for name, a, b in parts if a != b)

    @property
    def _years(self) -> int:
        return self.options.last_year - self.options.first_year + 1

    def _read(self, text: str) -> list[tuple[Form, date]]:
        found = ((form, form.read(text, self.options)) for form in self.forms)
        return [(form, day) for form, day in found if day is not None]

    def _shuffled_days(self) -> np.ndarray:
        """Return all dates of the years as numbers, in a random order."""
        first = date(self.options.first_year, 1, 1)
        days = first.toordinal() + np.arange(
            (date(self.options.last_year, 12, 31) - first + timedelta(1)).days
        )
        return numpy_generator(self.options.seed, "dates", "splits").permutation(days)

    def _draw(self, split: str, days: np.ndarray, count: int) -> list[tuple[str, str]]:
        """Return different texts of these days, with their ISO forms, as many of each form."""
        random = numpy_generator(self.options.seed, "dates", split)
        found: dict[str, str] = {}
        fruitless = 0
        while len(found) < count and fruitless < FRUITLESS_ROUNDS and len(days):
            before = len(found)
            chosen = random.choice(days, count).tolist()
            forms = random.integers(len(self.forms), size=count).tolist()
            cases = random.integers(len(CASES), size=count).tolist()
            for day, form, case in zip(chosen, forms, cases, strict=True):
                when = date.fromordinal(day)
                text = CASES[case](self.forms[form].write(when))
                found.setdefault(text, when.isoformat())
            fruitless = fruitless + 1 if len(found) == before else 0
        if len(found) < count:
            raise UserError(
                f"only {len(found):,} of {count:,} different texts of {len(days):,} dates could be "
                f"written for {split}; lower {split}, or take more years or languages"
            )
        rows = list(found.items())[:count]
        self._check_one_date_each(rows)
        return rows

    def _check_one_date_each(self, rows: Sequence[tuple[str, str]]) -> None:
        for text, answer in rows:
            for form, day in self._read(text):
                if day.isoformat() != answer:
                    raise UserError(
                        f"languages: {text!r}, which is {answer}, is {day} in {form.language}; "
                        "take languages whose short forms differ"
                    )

    def _read_file(self, path: Path) -> Pairs:
        """Read a file in the book's format: a date filled with blanks, `_`, its ISO form."""
        if not path.is_file():
            raise DataError(f"source: {path} is no file; name one, or choose: generated")
        text, notes = read_found(path)
        lines = text.removesuffix("\n").split("\n")
        rows = [_parse(line, f"{path}, line {n}") for n, line in enumerate(lines, 1)]
        splits = self._as_the_book(rows) if self.leaks else self._by_date(rows)
        facts = {"source": str(path), "distinct": len(set(rows)), "lines": len(rows)}
        if self.leaks:
            texts = {split: [question for question, _ in of] for split, of in splits.items()}
            facts["shared"] = shared(texts, self.same)
        return from_texts(splits, facts={**facts, **({"found": notes} if notes else {})})

    def _by_date(self, rows: Sequence[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
        """Return different lines: eight tenths of the dates in train, one in each other split."""
        days = np.array(sorted({answer for _, answer in rows}))
        if len(days) < 10:
            raise DataError(f"{len(days)} different dates are too few to split; at least 10")
        order = numpy_generator(self.options.seed, "dates", "splits").permutation(days)
        tenth = len(order) // 10
        of = dict.fromkeys(order.tolist(), "train")
        of |= dict.fromkeys(order[:tenth].tolist(), "valid")
        of |= dict.fromkeys(order[tenth : 2 * tenth].tolist(), "test")
        different = dict.fromkeys(rows)
        return {split: [row for row in different if of[row[1]] == split] for split in SPLITS}

    def _as_the_book(self, rows: Sequence[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
        """Return the lines as the book splits them: a tenth for test; valid is a tenth of train."""
        order = np.arange(len(rows))
        np.random.RandomState(self.options.seed).shuffle(order)
        shuffled = [rows[i] for i in order.tolist()]
        test, valid = len(rows) // 10, (len(rows) - len(rows) // 10) // 10
        train = len(rows) - test - valid
        return {
            "train": shuffled[:train],
            "valid": shuffled[train : train + valid],
            "test": shuffled[train + valid :],
        }


def _parse(line: str, place: str) -> tuple[str, str]:
    question, start, answer = line.partition(START)
    question, answer = question.strip(), answer.strip()
    if not question or not start:
        raise DataError(f"{place}: {line!r} is not of the form 'september 27, 1994  _1994-09-27'")
    try:
        valid = ISO.fullmatch(answer) and date.fromisoformat(answer)
    except ValueError:
        valid = None
    if not valid:
        raise DataError(f"{place}: {answer!r} is no date in the form of ISO 8601")
    return question, answer


def _plain(text: str) -> str:
    """Return a text with single blanks, each symbol in one form: digits in ASCII's."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _folded(text: str) -> str:
    """Return a text, or a part of one, in small letters; blanks at its ends stay."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).casefold()


@cache
def _months(width: Literal["wide", "abbreviated"], language: str) -> list[str]:
    names = get_month_names(width, "format", language)
    return [_folded(names[month]) for month in range(1, 13)]


def _month(width: Literal["wide", "abbreviated"]) -> Part:
    """Return the part of a form that is the name of the month."""
    return Part(
        "name",
        lambda day, language: str(get_month_names(width, "format", language)[day.month]),
        lambda language: _any_of(_months(width, language)),
    )


def _number(name: str, write: Callable[[date], str], pattern: str) -> Part:
    """Return a part of a form that is a number."""
    return Part(name, lambda day, _: write(day), lambda _: pattern)


def _any_of(names: Sequence[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


PARTS = {  # by the letters that the CLDR has for them
    "y": _number("year", lambda day: str(day.year), r"\d{4}"),
    "yy": _number("year", lambda day: f"{day.year % 100:02}", r"\d\d"),
    "M": _number("month", lambda day: str(day.month), r"\d\d?"),
    "MM": _number("month", lambda day: f"{day.month:02}", r"\d\d"),
    "MMM": _month("abbreviated"),
    "MMMM": _month("wide"),
    "d": _number("day", lambda day: str(day.day), r"\d\d?"),
    "dd": _number("day", lambda day: f"{day.day:02}", r"\d\d"),
    "EEEE": Part(
        "weekday",
        lambda day, language: str(get_day_names("wide", "format", language)[day.weekday()]),
        lambda language: _any_of(
            [_folded(n) for n in get_day_names("wide", "format", language).values()]
        ),
    ),
}
