"""What a run is about, and the key by which it is found again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unroll.options import VariantOptions, resolved


@dataclass(frozen=True)
class Subject:
    """A variant with all that determines what its training does."""

    study: str
    variant: str
    options: VariantOptions
    data_digest: str  # of the prepared data (storage/folders.py)
    plan: str  # the digest of the training's plan (plans/)
    machine: Mapping[str, str | int]  # device, precision, threads

    def key(self, seed: int | None = None) -> str:
        """Return the key of a seed's run, or of the whole variant where `seed` is None.

        Runs of the same key behave alike, and give the same bits on the same machine.
        """
        options = resolved(self.options)
        seeds = options.pop("seeds")
        parts: list[Any] = [self.study, self.variant, options, self.data_digest]
        parts += [self.plan, dict(self.machine), seeds if seed is None else seed]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
