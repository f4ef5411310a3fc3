"""Where data come from: what is built in, or a user's own files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import model_validator

from unroll.data.plain import PlainOptions
from unroll.errors import DataError
from unroll.options import Strict


def refuse_idle(options: Strict, elsewhere: Mapping[str, Sequence[str]]) -> None:
    """Refuse options that do nothing, by name: `elsewhere` has those of other sources, by source.

    Raises:
        ValueError: one of them has another value than it has where it is left out.
    """
    fields = type(options).model_fields
    for source, names in elsewhere.items():
        idle = [name for name in names if getattr(options, name) != fields[name].default]
        if idle:
            raise ValueError(f"{', '.join(idle)}: only of {source}; leave it out")


class SourceOptions(PlainOptions):
    """Options of texts that are built in or a user's own. One that does nothing is refused."""

    built_in: ClassVar[str]  # what `source` says where nothing is read
    own: ClassVar[str] = "a file"  # what it names otherwise: a file, a folder
    of_built_in: ClassVar[tuple[str, ...]]  # options that do nothing where something is read
    of_own: ClassVar[tuple[str, ...]]  # and where nothing is

    kind: str
    source: str

    @property
    def is_built_in(self) -> bool:
        """Whether nothing of the user's is read."""
        return self.source == self.built_in

    def file(self) -> Path:
        """Return the file that `source` names.

        Raises:
            DataError: there is none.
        """
        path = Path(self.source)
        if not path.is_file():
            raise DataError(f"source: {path} is no file; name one, or choose: {self.built_in}")
        return path

    @model_validator(mode="after")
    def _all_have_an_effect(self) -> "SourceOptions":
        elsewhere = (self.own, self.of_own), (self.built_in, self.of_built_in)
        refuse_idle(self, dict(elsewhere[:1] if self.is_built_in else elsewhere[1:]))
        return self
