"""What a run is about, and the key by which it is found again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unroll.config import VariantOptions


@dataclass(frozen=True)
class Subject:
    """A variant with all that determines its results."""

    study: str
    variant: str
    options: VariantOptions
    data_digest: str  # of the prepared data (see data/files.py)
    code_digest: str  # of the code that trains (see training/code.py)
    environment: Mapping[str, str | int]  # device, precision, threads, versions

    def key(self, seed: int | None = None) -> str:
        """Return the key of a seed's run, or of the whole variant where `seed` is None.

        Runs of the same key give the same bits.
        """
        options = self.options.model_dump()
        seeds = options.pop("seeds")
        parts: list[Any] = [self.study, self.variant, options, self.data_digest]
        parts += [self.code_digest, dict(self.environment), seeds if seed is None else seed]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
