"""A trained model: what a run's record says, and the network that it belongs to."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from unroll.data.prepared import read_form
from unroll.errors import DataError
from unroll.models.initialise import shapes_alone
from unroll.runs.record import Record, read_record, write_documents
from unroll.runs.subject import Subject
from unroll.storage.files import write_bytes, write_json
from unroll.storage.folders import MANIFEST, new_folder
from unroll.tasks.task import Task


@dataclass(frozen=True)
class TrainedModel:
    """A run's record, what its model knows of its data, and the model."""

    record: Record
    form: Any
    model: Any  # a network of the record's kind

    @property
    def options(self) -> Any:
        """The options of its variant, which are those of its kind."""
        return self.record.options

    @property
    def task(self) -> Task[Any]:
        """The task that it has learned."""
        return self.record.task


def write_model(folder: Path, trained: TrainedModel) -> None:
    """Write a record with its model; an earlier one is replaced only when all is written."""
    # A shared matrix comes once; the model joins it again when it is built.
    parameters = trained.model.named_parameters()
    weights = {name: p.detach().cpu().contiguous() for name, p in parameters}
    with new_folder(folder) as new:
        write_bytes(new / "weights.safetensors", save(weights))
        write_documents(new, trained.record)
        write_json(new / "form.json", trained.form.model_dump(exclude_none=True))


def rewrite_subject(folder: Path, subject: Subject) -> None:
    """Let a record say which seeds its variant has now: what it was trained with is the same.

    So the records of a variant are those of one training, in the bytes that they would have if all
    seeds had been trained together.
    """
    record = read_record(folder)
    if record.subject == subject:
        return
    with new_folder(folder) as new:
        for file in folder.iterdir():
            if file.name != MANIFEST and file.name[0] != ".":
                write_bytes(new / file.name, file.read_bytes())
        write_documents(new, replace(record, subject=subject))


def read_model(folder: Path) -> TrainedModel:
    """Read a record with its model, in float32 on the CPU.

    Raises:
        DataError: as `read_record`, or the weights do not fit the options.
    """
    record = read_record(folder)
    form = read_form(folder, record.kind.Form)
    try:
        weights = load_file(folder / "weights.safetensors")
    except (OSError, SafetensorError) as error:
        raise DataError(f"{folder}: the weights cannot be read ({error})") from None
    misfit = f"{folder}: the weights do not fit the options of run.json"
    # Looked at first, so that a damaged size does not ask for all the memory there is.
    with shapes_alone():
        options, sizes = record.options, {size for w in weights.values() for size in w.shape}
        if options.layers > len(weights) or not options.sizes <= sizes:
            raise DataError(misfit)
        expected = dict(record.kind.build(options, form).named_parameters())
    found = {name: (w.shape, w.dtype) for name, w in weights.items()}
    if found != {name: (p.shape, p.dtype) for name, p in expected.items()}:
        raise DataError(misfit)
    if not all(w.isfinite().all() for w in weights.values()):
        raise DataError(f"{folder}: a weight is not a finite number")
    model = record.kind.build(options, form)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    model.eval()
    return TrainedModel(record, form, model)
