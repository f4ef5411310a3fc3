"""Checkpoints: all that a training needs to go on, bit for bit, where it was ended.

A file per run, outside DVC's outputs, written whole or not at all. Its name holds the key of the
run, a digest of options, behaviour, data and machine: a training with others does not find it.
The file is in the format safetensors, with the numbers that are no tensors as JSON in its header.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from unroll.errors import DataError, first_line
from unroll.storage.files import write_bytes

SCHEMA = "2"


class Unfit(ValueError):  # noqa: N818 - as one says it of a snapshot
    """A snapshot is not one of this training."""


@dataclass(frozen=True)
class Snapshot:
    """The state of a training: tensors by name, and what JSON can hold."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    sources: tuple[str, ...] = ()  # digests of the sources by which it came about


@dataclass(frozen=True)
class Checkpoint:
    """Where the snapshots of a run are kept, and after how many steps one is due."""

    folder: Path  # of the variant
    seed: int
    key: str
    every: int | None  # steps; None: at the end of each epoch only
    sources: str = ""  # the digest of the sources that run

    @property
    def path(self) -> Path:
        """The file of the last snapshot."""
        return self.folder / f"seed-{self.seed}.{self.key}.safetensors"

    def due(self, steps: int) -> bool:
        """Say whether a snapshot is due after so many steps of an epoch."""
        return self.every is not None and steps % self.every == 0

    def write(self, snapshot: Snapshot) -> None:
        """Replace the snapshot; the one before stays until all of the new one is on the disk."""
        facts = json.dumps(snapshot.facts)
        tensors = {name: t.detach().cpu().contiguous() for name, t in snapshot.tensors.items()}
        sources = " ".join(dict.fromkeys([*snapshot.sources, self.sources]))
        header = {
            "schema": SCHEMA,
            "key": self.key,
            "facts": facts,
            "sources": sources,
            "sha256": _digest(tensors, facts, sources),
        }
        write_bytes(self.path, save(tensors, metadata=header))

    def read(self) -> Snapshot | None:
        """Return the snapshot, or None where there is none.

        Raises:
            DataError: the file is damaged, or is not a snapshot of this run.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise self.unfit(f"it cannot be read: {first_line(error)}") from None
        if header.get("schema") != SCHEMA or header.get("key") != self.key:
            raise self.unfit("it is not of this run")
        facts, sources = header.get("facts", ""), header.get("sources", "")
        if header.get("sha256") != _digest(tensors, facts, sources):
            raise self.unfit("it is damaged")
        return Snapshot(tensors, json.loads(facts), tuple(sources.split()))

    def unfit(self, why: object) -> DataError:
        """Return the error to raise where the snapshot is not one to go on from."""
        return DataError(
            f"the checkpoint {self.path} cannot be used ({why}); delete it, and the training "
            "begins anew"
        )

    def others(self) -> list[Path]:
        """Return checkpoints of the same seed that are of another behaviour, data or machine."""
        found = self.folder.glob(f"seed-{self.seed}.*.safetensors")
        return sorted(path for path in found if path != self.path)

    def remove(self) -> None:
        """Remove the snapshot: the run has left its record."""
        self.path.unlink(missing_ok=True)


def _digest(tensors: Mapping[str, Tensor], facts: str, sources: str) -> str:
    total = hashlib.sha256(f"{facts}\n{sources}\n".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
