"""The recipes of a page: what it says to write and to type, in its order."""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([^`\s]+/[^`\s]+\.(?:py|yaml))`:\s*\Z")


@dataclass(frozen=True)
class Write:
    """A file to write."""

    path: str
    text: str


@dataclass(frozen=True)
class Type:
    """A command to type, and what the page says that it prints."""

    command: str
    printed: str


def steps(page: Path) -> list[Write | Type]:
    """Return the steps of a page: blocks after the name of a file, and lines after a `$`."""
    text, found = page.read_text(), list[Write | Type]()
    for block in FENCE.finditer(text):
        named = NAMED.search(text[: block.start()])
        if block[1] == "console":
            found += commands(block[2])
        elif named:
            found.append(Write(named[1], block[2]))
    return found


def commands(console: str) -> list[Type]:
    """Return the commands of a console; lines that end with a backslash go on."""
    joined = console.replace("\\\n", " ")
    parts = re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]
    typed = [part.partition("\n") for part in parts]
    return [Type(line.partition("   #")[0].strip(), printed) for line, _, printed in typed]
