"""Text as it is found in people's files: what is unambiguous is read, and noted."""

from pathlib import Path

from unroll.storage.files import read_text

MARK = "\ufeff"  # the byte order mark that some editors put first


def read_found(path: Path) -> tuple[str, list[str]]:
    """Return a UTF-8 text with plain line ends, and what in it was otherwise.

    Raises:
        DataError: the file is missing, is too large or is not UTF-8.
    """
    text, notes = read_text(path), []
    if text.startswith(MARK):
        text = text.removeprefix(MARK)
        notes.append("a byte order mark at the start")
    if "\r\n" in text:
        text = text.replace("\r\n", "\n")
        notes.append("line ends of Windows")
    return text, notes
