"""Text as it is found in people's files: what is unambiguous is read, and noted."""

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from unroll.errors import DataError
from unroll.faults import nearest
from unroll.storage.files import read_lines, read_text


class COMMAS(csv.excel):
    """A table with commas; a quote that is never closed is a fault."""

    strict = True


class TABS(csv.excel_tab):
    """A table with tabs, in which a quote is a sign like any other."""

    quoting = csv.QUOTE_NONE


MARK = "\ufeff"  # the byte order mark that some editors put first
MARKED, WINDOWS = "a byte order mark at the start", "line ends of Windows"
TABBED, UNBROKEN = "tabs", "no-break spaces"
NOTES = (MARKED, WINDOWS, TABBED, UNBROKEN)
BLANKS = {"\t": TABBED, "\xa0": UNBROKEN, "\u2007": UNBROKEN, "\u202f": UNBROKEN}


def read_found(path: Path) -> tuple[str, list[str]]:
    """Return a UTF-8 text with plain line ends, and what in it was otherwise.

    Raises:
        DataError: the file is missing, is too large or is not UTF-8.
    """
    text, notes = read_text(path), []
    if text.startswith(MARK):
        text = text.removeprefix(MARK)
        notes.append(MARKED)
    if "\r\n" in text:
        text = text.replace("\r\n", "\n")
        notes.append(WINDOWS)
    return text, notes


class FoundLines:
    """The lines of a UTF-8 text of words, with plain ends; one of them is in memory at a time.

    They are read anew for each loop over them. Once all were read, `notes` says what was otherwise,
    and whether tabs or no-break spaces stand there: they part words as blanks do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: set[str] = set()

    @property
    def notes(self) -> list[str]:
        """What was seen in the lines that were read."""
        return [note for note in NOTES if note in self._seen]

    def __iter__(self) -> Iterator[str]:
        """Yield the lines.

        Raises:
            DataError: the file is missing or not UTF-8, or a line is far too long.
        """
        for number, line in enumerate(read_lines(self.path)):
            if not number and line.startswith(MARK):
                line = line.removeprefix(MARK)
                self._seen.add(MARKED)
            if line.endswith("\r\n"):
                line = f"{line[:-2]}\n"
                self._seen.add(WINDOWS)
            self._seen.update(note for blank, note in BLANKS.items() if blank in line)
            yield line


def read_rows(
    path: Path, columns: Sequence[str]
) -> tuple[list[tuple[tuple[str, ...], str]], list[str]]:
    """Return what stands in some columns of a table, row by row with its place, and notes.

    The table has its columns' names in its first row. It is CSV, or with tabs where the name of the
    file ends in `.tsv`.

    Raises:
        DataError: the file is missing or no such table, or has no column of such a name.
    """
    text, notes = read_found(path)
    reader = csv.reader(io.StringIO(text), TABS if path.suffix.lower() == ".tsv" else COMMAS)
    try:
        names, *rows = [(row, f"{path}, line {reader.line_num}") for row in reader if any(row)]
    except ValueError:
        raise DataError(f"{path} is empty") from None
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from None
    head = [name.strip() for name in names[0]]
    if missing := [name for name in columns if name not in head]:
        near = nearest(missing[0], head)
        raise DataError(f"{path} has no column {missing[0]!r}{near}; it has {', '.join(head)}")
    if twice := [name for name in columns if head.count(name) > 1]:
        raise DataError(f"{path} has two columns {twice[0]!r}")
    places = [head.index(name) for name in columns]
    for row, place in rows:
        if len(row) != len(head):
            raise DataError(f"{place}: {len(row)} fields, but the first row names {len(head)}")
    return [(tuple(row[i] for i in places), place) for row, place in rows], notes


def check_free(symbols: Iterable[str], reserved: Collection[str], place: str) -> None:
    """Check that a text has no symbol that stands for something else.

    Raises:
        DataError: it has; the message names the symbol and the place.
    """
    for symbol in symbols:
        if symbol in reserved:
            raise DataError(f"{place}: {symbol} has a meaning here; write it otherwise")
