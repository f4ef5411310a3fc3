"""Sheets of pictures as files: what was said of each, and where each word looked."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from unroll.data.pictures import from_text
from unroll.errors import DataError
from unroll.evaluation.maps import Weight
from unroll.options import Strict
from unroll.storage.files import read_json, write_json

NAME = "sheet.json"


class Shot(Strict):
    """A picture with what was said of it."""

    picture: str  # a PNG, as base64
    references: Annotated[list[str], Field(min_length=1)]
    answer: str
    right: bool  # it is one of the references
    true: bool | None  # it is true of the picture, where that is known
    words: list[str]
    weights: list[list[Weight]]  # of each word to each place, row by row; or none

    @model_validator(mode="after")
    def _shape(self) -> "Shot":
        if self.weights and len(self.weights) != len(self.words):
            raise ValueError("there are no weights for each word")
        if len({len(row) for row in self.weights}) > 1 or any(not row for row in self.weights):
            raise ValueError("words do not look at the same places")
        if not from_text(self.picture, "the sheet").startswith(b"\x89PNG"):
            raise ValueError("a picture is no PNG")
        return self


class Sheet(Strict):
    """The file of a seed's pictures."""

    pictures: list[Shot]


def write_sheet(folder: Path, sheet: list[dict[str, Any]]) -> None:
    """Write the pictures of a seed."""
    write_json(folder / NAME, {"pictures": sheet})


def read_sheet(folder: Path) -> list[Shot]:
    """Read the pictures of a seed; there are none where there is no file.

    Raises:
        DataError: the file is not of that form.
    """
    path = folder / NAME
    if not path.is_file():
        return []
    try:
        return Sheet.model_validate(read_json(path)).pictures
    except (ValidationError, DataError):
        raise DataError(f"{path} holds no pictures with their captions") from None
