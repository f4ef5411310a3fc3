"""The run record: the files that a run (one variant, one seed) leaves.

    weights.safetensors   the parameters after the last epoch
    run.json              what was run: study, variant, seed, options, digests, its key
    vocabulary.json       the symbols in the order of their ids
    history.csv           one row per epoch: losses and validation metrics
    facts.json            parameter count, device, precision, threads, versions
    manifest.json         size and SHA-256 of each file, checked when read

All of it is the same, bit for bit, when the run is repeated on the same machine; what is
not (seconds, commit) is kept elsewhere. docs/run-record.md describes every field.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from unroll.config import Count, Options, VariantOptions, parse_variant
from unroll.data.corpus import EOS
from unroll.data.files import (
    check_folder,
    new_folder,
    read_json,
    write_bytes,
    write_json,
    write_text,
)
from unroll.data.pairs import BLANK
from unroll.data.tables import read_numbers
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError
from unroll.models.build import Model, build
from unroll.subject import Subject

SCHEMA = 1

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Symbol = Annotated[str, Field(min_length=1)]
Length = Annotated[int, Field(ge=1, le=10_000)]


class PairsForm(Options):
    """What a model of pairs must know of its data."""

    source_length: Length
    target_length: Annotated[Length, Field(ge=2)]
    start: str


class CorpusForm(Options):
    """What a language model must know of its data beside the vocabulary: nothing."""


FORMS: dict[str, type[Options]] = {"pairs": PairsForm, "corpus": CorpusForm}


class RunDocument(Options):
    """run.json."""

    schema_version: Literal[1] = Field(alias="schema")
    key: str
    study: str
    variant: str
    seed: Annotated[int, Field(ge=0)]
    kind: Literal["pairs", "corpus"]
    options: dict[str, Any]
    data_digest: Digest
    code_digest: Digest
    form: dict[str, Any]  # as PairsForm or CorpusForm


class FactsDocument(Options):
    """facts.json."""

    parameters: Count
    environment: dict[str, str | int]


class VocabularyDocument(Options):
    """vocabulary.json."""

    symbols: Annotated[list[Symbol], Field(min_length=1)]


@dataclass(frozen=True)
class Record:
    """What a run leaves, but for its weights."""

    subject: Subject
    seed: int
    parameters: int
    form: dict[str, Any]
    vocabulary: Vocabulary
    history: pd.DataFrame

    @property
    def options(self) -> VariantOptions:
        """The options of the run's variant."""
        return self.subject.options

    @property
    def key(self) -> str:
        """The key by which the run is found in MLflow."""
        return self.subject.key(self.seed)


def seed_folder(folder: Path, seed: int) -> Path:
    """Return where the record of a seed lies in the folder of its variant."""
    return folder / f"seed-{seed}"


def record_documents(folder: Path) -> list[Path]:
    """Return the files of a record that people read."""
    return [folder / name for name in ("run.json", "facts.json", "history.csv")]


def seed_folders(folder: Path, remedy: str) -> list[Path]:
    """Return the record folders of a variant, in the order of the seeds.

    Raises:
        DataError: there is none.
    """
    folders = [f for f in folder.glob("seed-*") if f.name.removeprefix("seed-").isdecimal()]
    if not folders:
        raise DataError(f"{folder} holds no trained model; {remedy}")
    return sorted(folders, key=lambda f: int(f.name.removeprefix("seed-")))


def write_record(folder: Path, record: Record, model: Model) -> None:
    """Write a record; an earlier one is replaced only when all is written."""
    subject = record.subject
    run = {
        "schema": SCHEMA,
        "key": record.key,
        "study": subject.study,
        "variant": subject.variant,
        "seed": record.seed,
        "kind": subject.options.kind,
        "options": subject.options.model_dump(),
        "data_digest": subject.data_digest,
        "code_digest": subject.code_digest,
        "form": record.form,
    }
    facts = {"parameters": record.parameters, "environment": dict(subject.environment)}
    # A shared matrix comes once; the model joins it again when it is built.
    weights = {name: p.detach().cpu().contiguous() for name, p in model.named_parameters()}
    with new_folder(folder) as new:
        write_bytes(new / "weights.safetensors", save(weights))
        write_json(new / "run.json", run)
        write_json(new / "vocabulary.json", {"symbols": list(record.vocabulary.symbols)})
        write_text(new / "history.csv", record.history.to_csv(index=False, lineterminator="\n"))
        write_json(new / "facts.json", facts)


def read_record(folder: Path, remedy: str) -> Record:
    """Read a record, but for its weights.

    Raises:
        DataError: a file is missing or damaged, or is not what a record of this schema holds.
    """
    check_folder(folder, remedy)
    raw = read_json(folder / "run.json", remedy)
    if raw.get("schema") != SCHEMA:
        raise DataError(f"{folder} has schema {raw.get('schema')} instead of {SCHEMA}; {remedy}")
    documents = [read_json(folder / name, remedy) for name in ("facts.json", "vocabulary.json")]
    try:
        run = RunDocument.model_validate(raw)
        facts = FactsDocument.model_validate(documents[0])
        options = parse_variant(run.kind, run.options)
        FORMS[run.kind].model_validate(run.form)
        vocabulary = Vocabulary(tuple(VocabularyDocument.model_validate(documents[1]).symbols))
        _check_symbols(run, vocabulary)
    except ValidationError as error:
        raise DataError(f"{folder} is no run record ({_first_fault(error)}); {remedy}") from None
    except DataError as error:
        raise DataError(f"{folder} is no run record ({error}); {remedy}") from None
    subject = Subject(
        run.study, run.variant, options, run.data_digest, run.code_digest, facts.environment
    )
    if run.key != subject.key(run.seed):
        raise DataError(f"{folder}: the key in run.json is not that of the run; {remedy}")
    history = read_numbers(folder / "history.csv", ["epoch"], remedy)
    if list(history["epoch"]) != list(range(1, len(history) + 1)):
        raise DataError(f"{folder / 'history.csv'} lacks an epoch; {remedy}")
    return Record(subject, run.seed, facts.parameters, run.form, vocabulary, history)


def _check_symbols(run: RunDocument, vocabulary: Vocabulary) -> None:
    needed = {"pairs": (BLANK, run.form.get("start")), "corpus": (EOS,)}[run.kind]
    for symbol in needed:
        if symbol not in vocabulary.ids:
            raise DataError(f"vocabulary.json lacks the symbol {symbol!r}")


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    place = ".".join(str(key) for key in fault["loc"])
    return f"{error.title}, {place}: {fault['msg']}"


def read_model(folder: Path, remedy: str) -> tuple[Record, Model]:
    """Read a record with its model, in float32 on the CPU.

    Raises:
        DataError: as `read_record`, or the weights do not fit the options.
    """
    record = read_record(folder, remedy)
    try:
        weights = load_file(folder / "weights.safetensors")
    except (OSError, SafetensorError) as error:
        raise DataError(f"{folder}: the weights cannot be read ({error}); {remedy}") from None
    misfit = f"{folder}: the weights do not fit the options of run.json; {remedy}"
    # Looked at first, so that a damaged size does not ask for all the memory there is.
    options, sizes = record.options, {size for w in weights.values() for size in w.shape}
    if options.layers > len(weights) or not {options.embedding_size, options.hidden_size} <= sizes:
        raise DataError(misfit)
    model = build(options, record.vocabulary)
    parameters = dict(model.named_parameters())
    found = {name: (w.shape, w.dtype) for name, w in weights.items()}
    if found != {name: (p.shape, p.dtype) for name, p in parameters.items()}:
        raise DataError(misfit)
    if not all(w.isfinite().all() for w in weights.values()):
        raise DataError(f"{folder}: a weight is not a finite number; {remedy}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
    model.eval()
    return record, model
