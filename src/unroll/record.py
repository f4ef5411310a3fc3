"""The run record: the files that a run (one variant, one seed) leaves.

    weights.safetensors   the parameters after the last epoch
    run.json              what was run: study, variant, seed, options, digest of the data
    vocabulary.json       the symbols in the order of their ids
    history.csv           one row per epoch: losses and validation metrics
    facts.json            parameter count, device, precision, threads, versions
    manifest.json         size and SHA-256 of each file, checked when read

All of it is the same, bit for bit, when the run is repeated on the same machine; what is
not (seconds, memory) is kept elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from unroll.config import VariantOptions, parse_variant
from unroll.data.files import check_folder, new_folder, read_json, write_json, write_text
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError
from unroll.models.build import Model, build

SCHEMA = 1


@dataclass(frozen=True)
class Record:
    """What a run leaves, but for its weights."""

    study: str
    variant: str
    seed: int
    kind: str
    options: VariantOptions
    data_digest: str
    form: Mapping[str, Any]  # of pairs: source_length, target_length, start
    vocabulary: Vocabulary
    history: pd.DataFrame
    facts: Mapping[str, Any]


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
    folders = [f for f in folder.glob("seed-*") if f.name.removeprefix("seed-").isdigit()]
    if not folders:
        raise DataError(f"{folder} holds no trained model; {remedy}")
    return sorted(folders, key=lambda f: int(f.name.removeprefix("seed-")))


def write_record(folder: Path, record: Record, model: Model) -> None:
    """Write a record; an earlier one is replaced only when all is written."""
    run = {
        "schema": SCHEMA,
        "study": record.study,
        "variant": record.variant,
        "seed": record.seed,
        "kind": record.kind,
        "options": record.options.model_dump(),
        "data_digest": record.data_digest,
        "form": dict(record.form),
    }
    # A shared matrix comes once; the model joins it again when it is built.
    weights = {name: p.detach().cpu().contiguous() for name, p in model.named_parameters()}
    with new_folder(folder) as new:
        save_file(weights, new / "weights.safetensors")
        write_json(new / "run.json", run)
        write_json(new / "vocabulary.json", {"symbols": list(record.vocabulary.symbols)})
        write_text(new / "history.csv", record.history.to_csv(index=False, lineterminator="\n"))
        write_json(new / "facts.json", dict(record.facts))


def read_record(folder: Path, remedy: str) -> Record:
    """Read a record, but for its weights.

    Raises:
        DataError: a file is missing or damaged, or the record is of another schema.
    """
    check_folder(folder, remedy)
    run = read_json(folder / "run.json", remedy)
    if run.get("schema") != SCHEMA:
        raise DataError(f"{folder} has schema {run.get('schema')} instead of {SCHEMA}; {remedy}")
    return Record(
        run["study"],
        run["variant"],
        run["seed"],
        run["kind"],
        parse_variant(run["kind"], run["options"]),
        run["data_digest"],
        run["form"],
        Vocabulary(tuple(read_json(folder / "vocabulary.json", remedy)["symbols"])),
        pd.read_csv(folder / "history.csv"),
        read_json(folder / "facts.json", remedy),
    )


def read_model(folder: Path, remedy: str) -> tuple[Record, Model]:
    """Read a record with its model, in float32 on the CPU.

    Raises:
        DataError: as `read_record`, or the weights do not fit the options.
    """
    record = read_record(folder, remedy)
    model = build(record.options, record.vocabulary)
    weights = load_file(folder / "weights.safetensors")
    parameters = dict(model.named_parameters())
    if {k: w.shape for k, w in weights.items()} != {k: p.shape for k, p in parameters.items()}:
        raise DataError(f"{folder}: the weights do not fit the options of run.json; {remedy}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
    model.eval()
    return record, model
