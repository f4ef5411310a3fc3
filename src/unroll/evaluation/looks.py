"""What was found inside a model as a file: its numbers, and nothing of the text that was read."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError, model_validator

from unroll.errors import DataError
from unroll.evaluation.inside import STEPS, TRAINED, Inside, Saturation, Spectrum
from unroll.options import Count, Share, Strict
from unroll.storage.files import read_json, write_json

NAME = "inside.json"
DIGITS = 5  # significant ones

Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Sizes = Annotated[list[Size], Field(min_length=1)]
Shares = Annotated[list[Share], Field(min_length=1)]


class Matrix(Strict):
    """The singular values of a part of a layer's recurrent matrix, before and after training."""

    layer: Count
    part: str
    first: Sizes
    trained: Sizes


class Gate(Strict):
    """In what share of the steps each unit of a gate is shut, and wide open."""

    layer: Count
    gate: str
    low: Shares
    high: Shares


class Look(Strict):
    """The file of what was found in a seed's model."""

    reach: dict[str, Annotated[list[Size], Field(min_length=STEPS + 1, max_length=STEPS + 1)]]
    norms: Sizes
    matrices: Annotated[list[Matrix], Field(min_length=1)]
    gates: list[Gate]

    @model_validator(mode="after")
    def _begins_with_the_trained(self) -> "Look":
        if next(iter(self.reach), None) != TRAINED or not all(of[0] for of in self.reach.values()):
            raise ValueError("there are no gradients of the trained model")
        return self


def write_inside(folder: Path, found: Inside) -> None:
    """Write what was found in a seed's model."""
    look = Look(
        reach={name: _short(of) for name, of in found.reach.items()},
        norms=_short(found.norms),
        matrices=[
            Matrix(layer=n, part=part, first=_short(first), trained=_short(trained))
            for n, part, first, trained in found.spectra
        ],
        gates=[
            Gate(layer=n, gate=gate, low=_short(low), high=_short(high))
            for n, gate, low, high in found.saturations
        ],
    )
    write_json(folder / NAME, look.model_dump())


def read_inside(folder: Path) -> Inside | None:
    """Return what was found in a seed's model, but for quotations; None where no one looked.

    Raises:
        DataError: the file is not of that form.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        look = Look.model_validate(read_json(path))
    except ValidationError:
        raise DataError(f"{path} does not hold what was found in a model") from None
    return Inside(
        reach={name: np.array(of) for name, of in look.reach.items()},
        norms=np.array(look.norms),
        spectra=[
            Spectrum(of.layer, of.part, np.array(of.first), np.array(of.trained))
            for of in look.matrices
        ],
        influences=[],
        units=[],
        absent=[],
        saturations=[
            Saturation(of.layer, of.gate, np.array(of.low), np.array(of.high)) for of in look.gates
        ],
    )


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
