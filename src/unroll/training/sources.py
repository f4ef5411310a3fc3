"""Which sources this process runs: a digest of src/unroll, and what stands in a file but words."""

import hashlib
import io
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
WORDS = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
# An f-string is one token before Python 3.12, and several since.
BEGINS = getattr(tokenize, "FSTRING_START", None)
ENDS = getattr(tokenize, "FSTRING_END", None)


def sources_digest() -> str:
    """Return a SHA-256 of all sources of the package."""
    total = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        total.update(f"{file.relative_to(PACKAGE).as_posix()}\n".encode())
        total.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return total.hexdigest()


def tokens_digest(*names: str) -> str:
    """Return a SHA-256 of the tokens of source files, seen from src/unroll.

    Comments, docstrings and empty lines are no part of it; it is the same under every Python.
    """
    total = hashlib.sha256()
    for name in names:
        total.update("\n".join(tokens((PACKAGE / name).read_text("utf-8"))).encode())
    return total.hexdigest()


def tokens(source: str) -> list[str]:
    """Return the tokens of a source text, but for comments, docstrings and empty lines."""
    lines = list(io.StringIO(source))
    found: list[str] = []
    statement: list[str] = []
    only_words = True  # the statement is a docstring
    begun: list[tuple[int, int]] = []  # where the f-strings begin in which we are
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in WORDS:
            continue
        text = token.string
        if BEGINS is not None and token.type == BEGINS:
            begun.append(token.start)
            continue
        if begun:
            if token.type != ENDS:
                continue
            start = begun.pop()
            if begun:
                continue
            text = _between(lines, start, token.end)
        if token.type in (tokenize.INDENT, tokenize.DEDENT):
            found.append(tokenize.tok_name[token.type])
        elif token.type == tokenize.NEWLINE:
            if not only_words:
                found += [*statement, "NEWLINE"]
            statement, only_words = [], True
        else:
            only_words = only_words and token.type in (tokenize.STRING, ENDS)
            statement.append(text)
    return found


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    inner = lines[start[0] : end[0] - 1]
    return "".join([lines[start[0] - 1][start[1] :], *inner, lines[end[0] - 1][: end[1]]])
