"""Files that are either whole or not there, and folders that know when they are damaged."""

import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from unroll.errors import DataError

MANIFEST = "manifest.json"
UNFINISHED = "unfinished"  # how the names of files and folders end that are not whole yet
EARLIER = "earlier"  # and of folders that are being replaced
LARGEST_TEXT = 2**30  # bytes; all of a text is held in memory
LARGEST_JSON = 2**26


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it: never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    temporary = _beside(path, UNFINISHED)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_names(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)  # a disk that is full does not say where
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _sync_names(folder: Path) -> None:
    """Bring to the disk what a folder calls its files: a new name is lost in a power cut else."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def sweep(target: Path) -> None:
    """Remove what processes that were killed have left of unfinished files of this name.

    A folder that was to be replaced, and was not, gets its name back.
    """
    # The whole name: that of another target may begin alike and go on with a dot.
    pattern = re.compile(rf"\.{re.escape(target.name)}\.([0-9]+)\.({UNFINISHED}|{EARLIER})")
    for path in target.parent.glob(f".{glob.escape(target.name)}.*"):
        left = pattern.fullmatch(path.name)
        if left is None:
            continue
        process = int(left[1])
        if process != os.getpid() and psutil.pid_exists(process):
            continue
        if left[2] == EARLIER and not target.exists():
            path.rename(target)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _beside(target: Path, what: str) -> Path:
    """Return the path that this process gives to what it keeps beside a target for a moment."""
    return target.with_name(f".{target.name}.{os.getpid()}.{what}")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, always in the same bytes."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_bytes(path: Path, largest: int) -> bytes:
    """Return the content of a file of at most so many bytes.

    Raises:
        OSError: it cannot be read.
        DataError: it is larger; nothing of it was read.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > largest:
            raise DataError(f"{path} has more than {largest:,} bytes")
        return file.read()


def read_text(path: Path) -> str:
    """Return a UTF-8 text file.

    Raises:
        DataError: the file is missing, is too large or is not UTF-8; the message names the line.
    """
    try:
        raw = read_bytes(path, LARGEST_TEXT)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: not UTF-8 (byte 0x{raw[error.start]:02x}); "
            "save the file as UTF-8"
        ) from None


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
    folder, earlier = _beside(target, UNFINISHED), _beside(target, EARLIER)
    try:
        folder.mkdir()
        yield folder
        if target.is_dir():
            target.rename(earlier)
        folder.rename(target)
        _sync_names(target.parent)
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


def check_folder(folder: Path, remedy: str) -> None:
    """Check every file of a folder against its manifest; `remedy` says how to make it.

    Raises:
        DataError: the folder or a file is missing, or a file is not as it was written.
    """
    if not (folder / MANIFEST).is_file():
        raise DataError(f"{folder} is missing or incomplete; {remedy}")
    entries = read_json(folder / MANIFEST, remedy)
    for name, entry in entries.items():
        path = folder / name
        short = len(name.encode(errors="replace")) < 256  # longer ones are an error of the system
        plain = short and ".." not in Path(name).parts and not Path(name).is_absolute()
        if not plain or not isinstance(entry, dict) or {"bytes", "sha256"} - set(entry):
            raise DataError(f"{folder / MANIFEST} is no manifest; {remedy}")
        if not path.is_file():
            raise DataError(f"{path} is missing; {remedy}")
        if path.stat().st_size != entry["bytes"] or sha256(path) != entry["sha256"]:
            raise DataError(f"{path} is damaged (its SHA-256 is not that of {MANIFEST}); {remedy}")
    for path in _files(folder):  # hidden ones belong to desktops and editors
        name = path.relative_to(folder).as_posix()
        if name not in entries and path.name[0] != "." and name != MANIFEST:
            raise DataError(f"{path} does not stand in {MANIFEST}; {remedy}")


def digest(folder: Path) -> str:
    """Return a digest of a folder's content: the SHA-256 of its manifest."""
    return sha256(folder / MANIFEST)


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        DataError: the file is missing or is not a JSON object.
    """
    try:
        value = json.loads(read_bytes(path, LARGEST_JSON))
        json.dumps(value, ensure_ascii=False).encode()  # halves of symbols cannot be written
    except DataError as error:
        raise DataError(f"{error}; {remedy}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); {remedy}") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not valid JSON; {remedy}") from None
    except (ValueError, RecursionError):  # also numbers of thousands of digits, or brackets
        raise DataError(f"{path} holds JSON that cannot be kept; {remedy}") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a JSON object; {remedy}")
    return value


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as safetensors."""
    write_bytes(path, save({name: np.ascontiguousarray(a) for name, a in arrays.items()}))


def read_arrays(path: Path, remedy: str) -> dict[str, np.ndarray]:
    """Return the named arrays of a safetensors file.

    Raises:
        DataError: the file is missing or is not in that format.
    """
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} cannot be read ({error}); {remedy}") from None
    except (AttributeError, TypeError):  # of safetensors, where NumPy has no such numbers
        raise DataError(f"{path} holds numbers that NumPy does not have; {remedy}") from None
