"""Whether MLflow can still hold all of a study, told without asking it.

To import MLflow and to ask it for every run takes seconds. Where each file that `unroll track`
reads, the file of the database and those of the runs have the size and the time that they had when
all was there, there is nothing to bring. Of a server nothing is known without asking.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import unroll
from unroll.storage.files import read_text, write_text
from unroll.study import Study
from unroll.tracking.address import artifacts_root, database_file

LATER = {"track", "report"}  # stages, in dvc.lock
CHANGES = slice(24, 28)  # of SQLite's header: a number that each transaction counts up


class Unchanged:
    """What MLflow is brought to the state of, as it is when this is made."""

    def __init__(self, study: Study) -> None:
        self.study, self.database = study, database_file()
        package = Path(unroll.__file__).parent
        files = _digest(study.data, study.params_file, package, but=study.tracked)
        self.read = f"{files} {_locked(study.lock_file)}"

    def holds(self) -> bool:
        """Say whether nothing is different from when it was noted."""
        note = self._note
        return note is not None and note.is_file() and read_text(note) == self._fingerprint()

    def note(self) -> None:
        """Keep, beside the database, that MLflow holds what was there when this was made."""
        if self._note is not None and self._note.parent.is_dir():
            write_text(self._note, self._fingerprint())

    @property
    def _note(self) -> Path | None:
        of = self.database
        return None if of is None else of.with_name(f"{of.name}.{self.study.name}.tracked")

    def _fingerprint(self) -> str:
        assert self.database is not None
        runs = artifacts_root()
        log = self.database.with_name(f"{self.database.name}-wal")
        written = _digest(self.study.tracked, self.database, log, *([] if runs is None else [runs]))
        return f"{self.read} {written} {_transactions(self.database)} mlflow {version('mlflow')}\n"


def _locked(lock: Path) -> str:
    """Return a digest of dvc.lock but for the stages that end when tracking has begun."""
    text = read_text(lock) if lock.is_file() else ""
    stages = re.split(r"^(?=  \S)", text, flags=re.MULTILINE)
    kept = [stage for stage in stages if stage.split(":")[0].strip() not in LATER]
    return hashlib.sha256("".join(kept).encode()).hexdigest()


def _transactions(database: Path) -> str:
    """Return SQLite's own count of changes: two in one moment have one time and one size."""
    if not database.is_file():
        return "none"
    with database.open("rb") as file:
        return file.read(CHANGES.stop)[CHANGES].hex()


def _digest(*places: Path, but: Path | None = None) -> str:
    """Return a digest of the names, sizes and times of all files at some places."""
    found = hashlib.sha256()
    for path in sorted({file for place in places for file in _files(place)} - {but}):
        status = path.stat()
        found.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return found.hexdigest()


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for folder, folders, names in os.walk(place, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (path for name in names if (path := Path(folder, name)).is_file())
