"""The run record: the files that a run (one variant, one seed) leaves.

    weights.safetensors   the parameters after the last epoch
    run.json              what was run: study, variant, seed, options, digests, its key
    form.json             what the model knows of its data: symbols, lengths
    history.csv           one row per epoch: losses and validation metrics
    facts.json            parameter count, device, precision, threads, versions
    manifest.json         size and SHA-256 of each file, checked when read

All of it is the same, bit for bit, when the run is repeated on the same machine; what is
not (seconds, commit) is kept elsewhere. docs/run-record.md describes every field. What is read here
are the documents; the model is read in runs/model.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pandas as pd
from pydantic import Field, ValidationError

from unroll import tasks
from unroll.errors import DataError
from unroll.kinds import kind_of
from unroll.kinds.kind import Kind
from unroll.options import OPTIONS, Count, Strict, VariantOptions, parse_resolved, resolved
from unroll.runs.subject import Subject
from unroll.storage.files import read_json, write_json, write_text
from unroll.storage.folders import check_folder
from unroll.storage.tables import read_numbers
from unroll.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = 2

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
DOCUMENTS = ("run.json", "facts.json", "history.csv")  # those that people read


class RunDocument(Strict):
    """run.json."""

    schema_version: Literal[2] = Field(alias="schema")
    key: str
    study: str
    variant: str
    seed: Annotated[int, Field(ge=0)]
    kind: Literal[tuple(OPTIONS)]  # type: ignore[valid-type]
    options: dict[str, Any]
    data: dict[str, Any]  # the data section of the task
    data_digest: Digest
    plan: Digest
    machine: dict[str, str | int]


class FactsDocument(Strict):
    """facts.json."""

    parameters: Count
    environment: dict[str, str | int]


@dataclass(frozen=True)
class Record:
    """What a run leaves, but for its model."""

    subject: Subject
    seed: int
    task: Task[Any]
    parameters: int
    environment: Mapping[str, str | int]  # device, versions: where it was trained
    history: pd.DataFrame

    @property
    def options(self) -> VariantOptions:
        """The options of the run's variant."""
        return self.subject.options

    @property
    def kind(self) -> Kind[Any, Any]:
        """The kind of its model."""
        return kind_of(self.options)

    @property
    def key(self) -> str:
        """The key by which the run is found in MLflow."""
        return self.subject.key(self.seed)

    @property
    def chosen_by(self) -> float:
        """The score of the validation split after the last epoch, by which runs are chosen."""
        return float(self.history[self.kind.choosing].iloc[-1])


def seed_folder(folder: Path, seed: int) -> Path:
    """Return where the record of a seed lies in the folder of its variant."""
    return folder / f"seed-{seed}"


def seed_folders(folder: Path) -> list[Path]:
    """Return the record folders of a variant, in the order of the seeds.

    Raises:
        DataError: there is none.
    """
    folders = [f for f in folder.glob("seed-*") if f.name.removeprefix("seed-").isdecimal()]
    if not folders:
        raise DataError(f"{folder} holds no trained model")
    return sorted(folders, key=lambda f: int(f.name.removeprefix("seed-")))


def write_documents(folder: Path, record: Record) -> None:
    """Write what people read of a record."""
    subject = record.subject
    run = {
        "schema": SCHEMA,
        "key": record.key,
        "study": subject.study,
        "variant": subject.variant,
        "seed": record.seed,
        "kind": subject.options.kind,
        "options": resolved(subject.options),
        "data": resolved(record.task.options),
        "data_digest": subject.data_digest,
        "plan": subject.plan,
        "machine": dict(subject.machine),
    }
    facts = {"parameters": record.parameters, "environment": dict(record.environment)}
    write_json(folder / "run.json", run)
    write_json(folder / "facts.json", facts)
    write_text(folder / "history.csv", record.history.to_csv(index=False, lineterminator="\n"))


def read_record(folder: Path) -> Record:
    """Read a record, but for its model.

    Raises:
        DataError: a file is missing or damaged, or is not what a record of this schema holds.
    """
    check_folder(folder)
    return read_documents(folder)


def read_documents(folder: Path) -> Record:
    """Read what `write_documents` wrote, in a folder whose files were checked.

    Raises:
        DataError: it is not what a record of this schema holds.
    """
    raw, facts_raw = (read_json(folder / name) for name in ("run.json", "facts.json"))
    if raw.get("schema") != SCHEMA:
        raise DataError(f"{folder} has schema {raw.get('schema')} instead of {SCHEMA}")
    try:
        run = RunDocument.model_validate(raw)
        facts = FactsDocument.model_validate(facts_raw)
        options = parse_resolved(run.kind, run.options)
        task = _task(folder, run)
    except ValidationError as error:
        raise DataError(f"{folder} is no run record ({_first_fault(error)})") from None
    subject = Subject(run.study, run.variant, options, run.data_digest, run.plan, run.machine)
    if run.key != subject.key(run.seed):
        raise DataError(f"{folder}: the key in run.json is not that of the run")
    history = read_numbers(folder / "history.csv", ["epoch"])
    if not len(history) or list(history["epoch"]) != list(range(1, len(history) + 1)):
        raise DataError(f"{folder / 'history.csv'} lacks an epoch")
    record = Record(subject, run.seed, task, facts.parameters, facts.environment, history)
    if record.kind.choosing not in history:
        raise DataError(f"{folder / 'history.csv'} lacks {record.kind.choosing}")
    return record


def _task(folder: Path, run: RunDocument) -> Task[Any]:
    kind = run.data.get("kind")
    if kind not in tasks.names():
        raise DataError(f"{folder} is of a task that is not known: {kind}")
    found = tasks.named(str(kind))
    if found.kind != run.kind:
        raise DataError(f"{folder}: {kind} is no task of {run.kind}")
    return found(found.Options.model_validate(run.data))


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    place = ".".join(str(key) for key in fault["loc"])
    return f"{error.title}, {place}: {fault['msg']}"


def best(records: "Iterable[Record]") -> Record:
    """Return the record that is best on validation; of equal ones, the first."""
    return max(records, key=lambda record: record.kind.main.sign * record.chosen_by)
