"""What a run in MLflow is about, and the key by which it is found again."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from unroll.config import ROOT_STUDY, VariantOptions


@dataclass(frozen=True)
class Subject:
    """A variant with what determines its results."""

    study: str
    task: str
    variant: str
    options: VariantOptions
    data_digest: str

    def key(self, seed: int | None = None) -> str:
        """Return the key of a seed's run, or of the parent run where `seed` is None."""
        options = self.options.model_dump()
        seeds = options.pop("seeds")
        parts: list[Any] = [self.study, self.variant, options, self.data_digest]
        parts.append(seeds if seed is None else seed)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def experiment(self) -> str:
        """The name of the experiment: the task, with the study before it where not the root."""
        return self.task if self.study == ROOT_STUDY else f"{self.study}-{self.task}"
