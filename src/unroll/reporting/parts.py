"""What pages are made of: pictures, sections and tables; parts.html says how they look."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

Row = tuple[str, ...]  # of a table, as it is shown


@dataclass(frozen=True)
class Picture:
    """A picture with what it says, for those who cannot see it."""

    svg: str
    alt: str
    caption: str = ""

    @property
    def address(self) -> str:
        """The picture as an address that holds it."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode()


@dataclass(frozen=True)
class Word:
    """A word with a colour behind it: `side` is up or down, `strength` a percentage."""

    word: str
    side: str
    strength: int
    value: str


@dataclass(frozen=True)
class Text:
    """Coloured words, what stands above them, and what behind them."""

    title: str
    words: Sequence[Word]
    after: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a page: how it is read, what is seen here, and what it cannot show."""

    name: str
    title: str
    how: str = ""
    seen: str = ""
    notes: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    small: bool = False  # the pictures
    texts: Sequence[Text] = ()
    head: Row = ()
    rows: Sequence[Row] = ()


def template(name: str) -> Template:
    """Return a template of this folder."""
    environment = Environment(
        loader=PackageLoader("unroll.reporting", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(name)
