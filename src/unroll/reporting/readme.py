"""The results in README.md: the marked block is the comparison, word for word."""

import re
from pathlib import Path

from unroll.errors import DataError
from unroll.storage.files import read_text, write_text

BLOCK = re.compile(
    r"(?P<start><!-- results: (?P<source>\S+) -->\n).*?(?P<end><!-- end of results -->)", re.DOTALL
)


def block(comparison: str) -> str:
    """Return a comparison as it stands in the README: its headings one level lower."""
    return re.sub(r"^## ", "### ", comparison, flags=re.MULTILINE)


def rewrite(readme: Path) -> bool:
    """Put the comparison that the marked block names into the block; say whether it changed.

    Raises:
        DataError: the README or the comparison is missing, or there is no marked block.
    """
    text = read_text(readme)
    found = BLOCK.search(text)
    if found is None:
        raise DataError(
            f"{readme} has no block between <!-- results: <file> --> and <!-- end of results -->"
        )
    source = readme.parent / found["source"]
    new = found["start"] + block(read_text(source)) + found["end"]
    changed = new != found[0]
    if changed:
        write_text(readme, text[: found.start()] + new + text[found.end() :])
    return changed
