"""What differs every time a variant is trained, apart from what must not; a folder per seed.

    epochs.csv         epoch, when it ended, seconds, load of the machine
    session.json       when it started and ended, its peak memory; command, DVC stage, git commit
    uncommitted.diff   what the working copy had beyond that commit; empty if nothing

A cached output of the train stage like the models, so that it comes back with them.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field, ValidationError

from unroll.errors import DataError, first_line
from unroll.options import Count, Neutral, Strict, resolved
from unroll.runs.record import Record, seed_folder
from unroll.storage.files import (
    LARGEST_TEXT,
    read_bytes,
    read_json,
    write_bytes,
    write_json,
    write_text,
)
from unroll.storage.folders import check_folder, new_folder
from unroll.storage.tables import read_numbers

Finite = Annotated[float, Field(allow_inf_nan=False)]

EPOCHS, SESSION, DIFF = "epochs.csv", "session.json", "uncommitted.diff"


class Source(Strict):
    """What was started, and from which code."""

    command: str
    stage: str | None  # of DVC
    experiment: str | None  # of DVC
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40,64}$")] | None  # None: no git here
    folder: str  # of the project within the git repository; empty: it is the whole of it
    dirty: bool
    # Digests of src/unroll by which it was trained: several where it went on after an edit that
    # changed no behaviour.
    sources: Annotated[list[str], Field(min_length=1)]


class Session(Strict):
    """session.json; times are seconds since 1970."""

    started: Finite
    ended: Finite
    peak_memory_mb: Finite
    source: Source
    stacked: Annotated[Count, Neutral(1)] = 1  # seeds that were one program, this one among them
    ranks: Annotated[Count, Neutral(1)] = 1  # processes that have shared this seed


@dataclass(frozen=True)
class EpochTiming:
    """A row of epochs.csv; times are seconds since 1970."""

    epoch: int
    ended: float
    train_seconds: float
    valid_seconds: float
    cpu_percent: float  # of the whole machine, since the epoch before (of any seed)
    memory_mb: float  # in use on the whole machine


@dataclass(frozen=True)
class Circumstances:
    """Those of one seed."""

    epochs: pd.DataFrame  # columns as EpochTiming
    session: Session

    @property
    def source(self) -> Source:
        """What was started, and from which code."""
        return self.session.source

    @property
    def seconds(self) -> float:
        """Seconds of training and validation: those of its epochs, in whatever sessions."""
        return float((self.epochs["train_seconds"] + self.epochs["valid_seconds"]).sum())


def write_circumstances(
    folder: Path, epochs: Iterable[EpochTiming], session: Session, diff: bytes
) -> None:
    """Write the circumstances of a seed."""
    table = pd.DataFrame([asdict(row) for row in epochs])
    with new_folder(folder) as new:
        write_text(new / EPOCHS, table.to_csv(index=False, lineterminator="\n"))
        write_json(new / SESSION, resolved(session))
        write_bytes(new / DIFF, diff)


def copy_circumstances(folder: Path, target: Path) -> None:
    """Copy what is small and no secret: all but the difference to the commit."""
    for name in (EPOCHS, SESSION):
        write_bytes(target / name, (folder / name).read_bytes())


def circumstances_of(folder: Path, records: Iterable[Record]) -> dict[int, Circumstances]:
    """Read the circumstances in which these records were made, by seed.

    Raises:
        DataError: a file is missing or damaged, or is of another training.
    """
    found = {}
    for record in records:
        inner = seed_folder(folder, record.seed)
        check_folder(inner)
        found[record.seed] = read_circumstances(inner, record)
    return found


def read_circumstances(folder: Path, record: Record) -> Circumstances:
    """Read the circumstances of a record, from a folder whose files were checked.

    Raises:
        DataError: a file is damaged, or is of another training.
    """
    try:
        session = Session.model_validate(read_json(folder / SESSION))
    except ValidationError as error:
        raise DataError(f"{folder} cannot be read ({first_line(error)})") from None
    epochs = read_numbers(folder / EPOCHS, ["epoch"])
    if list(epochs.columns) != [field.name for field in fields(EpochTiming)]:
        raise DataError(f"{folder / EPOCHS} has the columns {', '.join(epochs.columns)}")
    if list(epochs["epoch"]) != list(record.history["epoch"]):
        raise DataError(f"{folder} is not of the training that left the model")
    return Circumstances(epochs, session)


def read_diff(folder: Path) -> bytes:
    """Return what the working copy had beyond its commit when a seed was trained.

    Raises:
        DataError: the file is missing.
    """
    return read_bytes(folder / DIFF, LARGEST_TEXT)
