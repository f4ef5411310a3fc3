"""What differs every time a variant is trained, apart from what must not.

    epochs.csv         seed, epoch, when it ended, seconds, load of the machine
    runs.csv           seed, when it started and ended, peak memory of its process
    source.json        command, DVC stage and experiment, git commit
    uncommitted.diff   what the working copy had beyond that commit; empty if nothing

A cached output of the train stage like the models, so that it comes back with them.
"""

import os
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated

import pandas as pd
import psutil
from pydantic import Field

from unroll.config import Options, Study
from unroll.data.files import (
    check_folder,
    new_folder,
    read_json,
    write_bytes,
    write_json,
    write_text,
)
from unroll.data.tables import read_numbers
from unroll.errors import DataError, first_line, without_secrets
from unroll.record import Record
from unroll.training.loop import Epoch, Resumed
from unroll.training.run import Job
from unroll.training.workers import Done, Progress, Started

LARGEST_DIFF = 1_000_000  # bytes
LARGEST_FILE = 1_000_000  # bytes of a file in it: git makes a difference in memory
MEGABYTE = 1e6

# A diff that can be applied, whatever the user has set for reading diffs.
DIFF = (
    "--binary",
    "--unified=3",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)


# What is kept of the working copy can be read by all who read the runs: files that hold secrets by
# their names are left out, and passwords in addresses.
SECRETS = (
    "*.env",
    ".env*",
    ".netrc",
    ".pgpass",
    ".pypirc",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "id_*",
    "*api*key*",
    "*credential*",
    "*passwd*",
    "*password*",
    "*secret*",
    "*token*",
)


class Source(Options):
    """What was started, and from which code: source.json."""

    command: str
    stage: str | None  # of DVC
    experiment: str | None  # of DVC
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40,64}$")] | None  # None: no git here
    folder: str  # of the project within the git repository; empty: it is the whole of it
    dirty: bool


@dataclass(frozen=True)
class EpochTiming:
    """A row of epochs.csv; times are seconds since 1970."""

    seed: int
    epoch: int
    ended: float
    train_seconds: float
    valid_seconds: float
    cpu_percent: float  # of the whole machine, since the epoch before (of any seed)
    memory_mb: float  # in use on the whole machine


@dataclass(frozen=True)
class RunTiming:
    """A row of runs.csv; times are seconds since 1970."""

    seed: int
    started: float
    ended: float
    peak_memory_mb: float


@dataclass(frozen=True)
class Circumstances:
    """All of the above."""

    epochs: pd.DataFrame
    runs: pd.DataFrame  # indexed by seed
    source: Source
    diff: bytes

    @property
    def seconds(self) -> pd.Series:
        """Seconds of training and validation by seed: those of its epochs, in whatever sessions."""
        spent = self.epochs["train_seconds"] + self.epochs["valid_seconds"]
        return spent.groupby(self.epochs["seed"]).sum()


class Recorder:
    """A listener that notes the circumstances of a training."""

    def __init__(self, command: str) -> None:
        self.source, self.diff = look_at_source(command)
        self.epochs: list[EpochTiming] = []
        self.runs: list[RunTiming] = []
        self.started: dict[int, float] = {}
        psutil.cpu_percent()  # it counts from call to call

    def __call__(self, job: Job, message: Progress) -> None:
        """Note a message of a run."""
        now = round(time.time(), 3)
        if isinstance(message, Started):
            self.started[job.seed] = now
        elif isinstance(message, Resumed):
            self._note(job.seed, *message.epochs)
        elif isinstance(message, Epoch):
            self._note(job.seed, message)
        elif isinstance(message, Done):
            peak = round(message.peak_memory / MEGABYTE, 1)
            self.runs.append(RunTiming(job.seed, self.started[job.seed], now, peak))

    def _note(self, seed: int, *epochs: Epoch) -> None:
        cpu, memory = psutil.cpu_percent(), round(psutil.virtual_memory().used / MEGABYTE, 1)
        self.epochs += [
            EpochTiming(
                seed,
                epoch.epoch,
                round(epoch.ended, 3),
                round(epoch.train_seconds, 3),
                round(epoch.valid_seconds, 3),
                cpu,
                memory,
            )
            for epoch in epochs
        ]

    def write(self, folder: Path) -> None:
        """Write all that was noted."""
        with new_folder(folder) as new:
            for name, rows in (("epochs.csv", self.epochs), ("runs.csv", self.runs)):
                table = pd.DataFrame([asdict(row) for row in rows])
                write_text(new / name, table.to_csv(index=False, lineterminator="\n"))
            write_json(new / "source.json", self.source.model_dump())
            write_bytes(new / "uncommitted.diff", self.diff)


def circumstances_of(study: Study, variant: str, records: Iterable[Record]) -> Circumstances:
    """Read the circumstances in which these records of a variant were made.

    Raises:
        DataError: a file is missing or damaged, or is of another training.
    """
    folder, remedy = study.circumstances(variant), study.remedy(f"train@{variant}")
    found = read_circumstances(folder, remedy)
    seeds = {record.seed: len(record.history) for record in records}
    trained = {(seed, epoch) for seed, last in seeds.items() for epoch in range(1, last + 1)}
    noted = set(zip(found.epochs["seed"], found.epochs["epoch"], strict=True))
    if noted != trained or set(found.runs.index) != set(seeds):
        raise DataError(f"{folder} is not of the training that left the models; {remedy}")
    return found


def read_circumstances(folder: Path, remedy: str) -> Circumstances:
    """Read what `Recorder.write` wrote.

    Raises:
        DataError: a file is missing or damaged.
    """
    check_folder(folder, remedy)
    try:
        source = Source.model_validate(read_json(folder / "source.json", remedy))
        diff = (folder / "uncommitted.diff").read_bytes()
    except (OSError, ValueError) as error:  # pydantic's errors among them
        raise DataError(f"{folder} cannot be read ({first_line(error)}); {remedy}") from None
    epochs = _read_rows(folder / "epochs.csv", EpochTiming, ["seed", "epoch"], remedy)
    runs = _read_rows(folder / "runs.csv", RunTiming, ["seed"], remedy).set_index("seed")
    return Circumstances(epochs, runs, source, diff)


def _read_rows(
    path: Path, row: type[EpochTiming] | type[RunTiming], keys: list[str], remedy: str
) -> pd.DataFrame:
    table = read_numbers(path, keys, remedy)
    if list(table.columns) != [field.name for field in fields(row)]:
        raise DataError(f"{path} has the columns {', '.join(table.columns)}; {remedy}")
    return table


def look_at_source(command: str) -> tuple[Source, bytes]:
    """Return what is known of the code in the working copy, with its uncommitted changes.

    What runs leave (reports, dvc.lock) is no change of the code.
    """
    stage, experiment = (os.environ.get(name) for name in ("DVC_STAGE", "DVC_EXP_NAME"))
    commit = _git("rev-parse", "HEAD").decode().strip() or None
    diff = _uncommitted() if commit is not None else b""
    diff = without_secrets(diff.decode("latin-1")).encode("latin-1")  # each byte as it is
    if len(diff) > LARGEST_DIFF:
        diff = diff[:LARGEST_DIFF] + f"\n[cut: {len(diff):,} bytes in all]\n".encode()
    source = Source(
        command=command,
        stage=stage,
        experiment=experiment,
        commit=commit,
        folder=_git("rev-parse", "--show-prefix").decode().strip(),
        dirty=bool(diff),
    )
    return source, diff


def _uncommitted() -> bytes:
    """Return the difference of the working copy to its commit."""
    code = [":(exclude)reports", ":(exclude).dvc/config", ":(exclude,glob)**/dvc.lock"]
    code += [f":(exclude,glob,icase)**/{name}{under}" for name in SECRETS for under in ("", "/**")]
    changed = _names("diff", "--name-only", "--relative", "HEAD", "--", ".", *code)
    new = _names("ls-files", "--others", "--exclude-standard", "--", ".", *code)
    large = [name for name in (*changed, *new) if _size(Path(name)) > LARGEST_FILE]
    code += [f":(exclude,literal){name}" for name in large]
    diff = _git("diff", *DIFF, "--relative", "HEAD", "--", ".", *code)
    for name in new:
        if name not in large:
            diff += _git("diff", *DIFF, "--no-index", "--", os.devnull, name)
    return diff + b"".join(os.fsencode(f"[left out, too large: {name}]\n") for name in large)


def _size(path: Path) -> int:
    return path.lstat().st_size if path.is_file() else 0


def _names(*arguments: str) -> list[str]:
    """Return the names of files that git lists."""
    command, *rest = arguments
    return [os.fsdecode(name) for name in _git(command, "-z", *rest).split(b"\0") if name]


def _git(*arguments: str) -> bytes:
    """Return what git prints; nothing where there is no git, no checkout, or an error."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return b""
    # `diff --no-index` ends with 1 where files differ.
    fine = (0, 1) if "--no-index" in arguments else (0,)
    return done.stdout if done.returncode in fine else b""
