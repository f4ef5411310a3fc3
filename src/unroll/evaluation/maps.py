"""Maps of attention as files: what each symbol of an answer looked at, in words and numbers."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from unroll.data.vocabulary import Unit, join
from unroll.errors import DataError
from unroll.options import Share, Strict
from unroll.storage.files import read_json, write_json

NAME = "attention.json"

Weight = Annotated[Share, Field(allow_inf_nan=False)]


class Map(Strict):
    """How much each symbol of an answer looked at each symbol of its question."""

    question: list[str]
    answer: list[str]
    right: bool
    weights: list[list[Weight]]  # a row per symbol of the answer

    @model_validator(mode="after")
    def _shape(self) -> "Map":
        rows = {len(row) for row in self.weights}
        if len(self.weights) != len(self.answer) or rows - {len(self.question)}:
            raise ValueError("there is no weight for each pair of symbols")
        return self

    def texts(self) -> tuple[str, str]:
        """Return question and answer as texts, of characters or of words."""
        characters = all(len(s) == 1 for s in (*self.question, *self.answer))
        unit: Unit = "character" if characters else "token"
        return join(self.question, unit).strip(), join(self.answer, unit).strip()


class Maps(Strict):
    """The file of a seed's maps."""

    maps: list[Map]


def write_maps(folder: Path, maps: list[dict[str, Any]]) -> None:
    """Write the maps of a seed."""
    write_json(folder / NAME, {"maps": maps})


def read_maps(folder: Path) -> list[Map]:
    """Read the maps of a seed; there are none where there is no file.

    Raises:
        DataError: the file is not of that form.
    """
    path = folder / NAME
    if not path.is_file():
        return []
    try:
        return Maps.model_validate(read_json(path)).maps
    except ValidationError as error:
        raise DataError(f"{path} holds no attention maps ({error.errors()[0]['msg']})") from None
