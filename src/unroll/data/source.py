"""Where texts come from: what is built in, or a user's own files."""

from pathlib import Path
from typing import ClassVar

from pydantic import model_validator

from unroll.data.plain import PlainOptions
from unroll.errors import DataError


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
        fields = type(self).model_fields
        wanted, of = (
            (self.of_own, self.own) if self.is_built_in else (self.of_built_in, self.built_in)
        )
        idle = [name for name in wanted if getattr(self, name) != fields[name].default]
        if idle:
            raise ValueError(f"{', '.join(idle)}: only of {of}; leave it out")
        return self
