"""Folders that are either whole or not there, and know when they are damaged."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from unroll.errors import DataError
from unroll.storage.files import (
    EARLIER,
    UNFINISHED,
    beside,
    read_json,
    sweep,
    sync_names,
    write_json,
)

MANIFEST = "manifest.json"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of `target` when all went well.

    Where the block raises, an earlier `target` stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target)
    folder, earlier = beside(target, UNFINISHED), beside(target, EARLIER)
    try:
        folder.mkdir()
        yield folder
        if target.is_dir():
            target.rename(earlier)
        folder.rename(target)
        sync_names(target.parent)
    finally:
        if earlier.exists() and not target.exists():
            earlier.rename(target)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(earlier, ignore_errors=True)


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """As `replaced_folder`, with a manifest: the size and SHA-256 of every file."""
    with replaced_folder(target) as folder:
        yield folder
        entries = {
            f.relative_to(folder).as_posix(): {"bytes": f.stat().st_size, "sha256": sha256(f)}
            for f in _files(folder)
        }
        write_json(folder / MANIFEST, entries)


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder and its folders, sorted.

    Raises:
        OSError: one of them cannot be listed; `Path.rglob` would return the others.
    """

    def refuse(error: OSError) -> None:
        raise error

    found = os.walk(folder, onerror=refuse)
    return sorted(Path(inner) / name for inner, _, names in found for name in names)


def check_folder(folder: Path) -> None:
    """Check every file of a folder against its manifest.

    Raises:
        DataError: the folder or a file is missing, or a file is not as it was written.
    """
    if not (folder / MANIFEST).is_file():
        raise DataError(f"{folder} is missing or incomplete")
    entries = read_json(folder / MANIFEST)
    for name, entry in entries.items():
        path = folder / name
        short = len(name.encode(errors="replace")) < 256  # longer ones are an error of the system
        plain = short and ".." not in Path(name).parts and not Path(name).is_absolute()
        if not plain or not isinstance(entry, dict) or {"bytes", "sha256"} - set(entry):
            raise DataError(f"{folder / MANIFEST} is no manifest")
        if not path.is_file():
            raise DataError(f"{path} is missing")
        if path.stat().st_size != entry["bytes"] or sha256(path) != entry["sha256"]:
            raise DataError(f"{path} is damaged (its SHA-256 is not that of {MANIFEST})")
    for path in _files(folder):  # hidden ones belong to desktops and editors
        name = path.relative_to(folder).as_posix()
        if name not in entries and path.name[0] != "." and name != MANIFEST:
            raise DataError(f"{path} does not stand in {MANIFEST}")


def digest(folder: Path) -> str:
    """Return a digest of a folder's content: the SHA-256 of its manifest."""
    return sha256(folder / MANIFEST)
