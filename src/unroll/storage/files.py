"""Files that are either whole or not there, in formats that run nothing."""

import contextlib
import glob
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
import psutil
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from unroll.errors import DataError, first_line

UNFINISHED = "unfinished"  # how the names of files and folders end that are not whole yet
EARLIER = "earlier"  # and of folders that are being replaced
LARGEST_TEXT = 2**30  # bytes of a text of which all is held in memory
LARGEST_LINE = 2**20  # and of a line, where a text is read line by line
LARGEST_JSON = 2**26


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file under a temporary name that is renamed when all went well: never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    temporary = beside(path, UNFINISHED)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_names(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)  # a disk that is full does not say where
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    with new_file(path) as file:
        file.write(content)


def sync_names(folder: Path) -> None:
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


def beside(target: Path, what: str) -> Path:
    """Return the path that this process gives to what it keeps beside a target for a moment."""
    return target.with_name(f".{target.name}.{os.getpid()}.{what}")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, always in the same bytes."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_bytes(path: Path, largest: int) -> bytes:
    """Return the content of a file of at most so many bytes.

    Raises:
        DataError: it cannot be read, or is larger: nothing of it was read then.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > largest:
                raise DataError(f"{path} has more than {largest:,} bytes")
            return file.read()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from None
    except ValueError:  # a name with a zero, or with half a symbol
        raise DataError(f"{str(path)!r} is no name that a file can have") from None


def read_text(path: Path) -> str:
    """Return a UTF-8 text file.

    Raises:
        DataError: the file is missing, is too large or is not UTF-8; the message names the line.
    """
    raw = read_bytes(path, LARGEST_TEXT)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(error, path, raw.count(b"\n", 0, error.start) + 1) from None


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 text of any size, each with its end: one of them is in memory.

    Raises:
        DataError: the file is missing or is not UTF-8, or a line has more than LARGEST_LINE bytes;
            the message names the line.
    """
    try:
        with path.open("rb") as file:
            lines = iter(lambda: file.readline(LARGEST_LINE + 1), b"")
            for number, raw in enumerate(lines, 1):
                if len(raw) > LARGEST_LINE:
                    raise DataError(
                        f"{path}, line {number}: more than {LARGEST_LINE:,} bytes; put one "
                        "sentence on each line"
                    )
                try:
                    yield raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise _not_utf8(error, path, number) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from None


def _not_utf8(error: UnicodeDecodeError, path: Path, line: int) -> DataError:
    byte = error.object[error.start]
    return DataError(f"{path}, line {line}: not UTF-8 (byte 0x{byte:02x}); save the file as UTF-8")


def read_json(path: Path, largest: int | None = None) -> dict[str, Any]:
    """Return a JSON object, of at most so many bytes; by default LARGEST_JSON.

    Raises:
        DataError: the file is missing or is not a JSON object.
    """
    try:
        value = json.loads(read_bytes(path, largest or LARGEST_JSON))
        json.dumps(value, ensure_ascii=False).encode()  # halves of symbols cannot be written
    except UnicodeDecodeError as error:
        raise DataError(f"{path} cannot be read ({error})") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not valid JSON") from None
    except (ValueError, RecursionError):  # also numbers of thousands of digits, or brackets
        raise DataError(f"{path} holds JSON that cannot be kept") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a JSON object")
    return value


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as safetensors."""
    write_bytes(path, save({name: np.ascontiguousarray(a) for name, a in arrays.items()}))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the named arrays of a safetensors file.

    Raises:
        DataError: the file is missing or is not in that format.
    """
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} cannot be read ({error})") from None
    except (AttributeError, TypeError):  # of safetensors, where NumPy has no such numbers
        raise DataError(f"{path} holds numbers that NumPy does not have") from None


def write_mapped(path: Path, array: np.ndarray) -> None:
    """Write an array in NumPy's own format, from which it can be mapped."""
    with new_file(path) as file:
        # No file to NumPy: it would write past Python, and not say that the disk is full.
        by_parts: Any = SimpleNamespace(write=file.write)
        np.lib.format.write_array(by_parts, np.ascontiguousarray(array), allow_pickle=False)


def read_mapped(path: Path) -> np.ndarray:
    """Return an array that stays on the disk: only what is looked at is read.

    Changes of it are not written.

    Raises:
        DataError: the file is missing, empty or not in NumPy's format.
    """
    try:
        # `np.load` would also open archives and pickles.
        with np.errstate(over="ignore"):  # a shape that no file has is an error anyway
            array: np.ndarray = np.lib.format.open_memmap(path, mode="c")
        return array
    except Exception as error:  # a header is read as Python: a damaged one can fail in any way
        raise DataError(f"{path} cannot be read ({first_line(error)})") from None
