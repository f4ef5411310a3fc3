"""Seeds that were trained before: where DVC has cleared them away, they are in its cache."""

import contextlib
import hashlib
from pathlib import Path
from typing import Any

from unroll.storage.lock import locked_digest, read_lock
from unroll.study import Study


def bring_back(study: Study, variant: str) -> None:
    """Put the models of a variant where they were when DVC last noted them.

    DVC removes the outputs of a stage before it runs it, also the seeds that are still asked for.
    (It has an option to leave them, `persist`, which takes away its run cache: an option that is
    put back would be trained again.) Where there is no DVC, or nothing in its cache, nothing is
    brought; nor where DVC runs a stage whose plan has not changed: that is `dvc repro --force`.
    """
    folders = (study.model(variant), study.circumstances(variant))
    entry = read_lock(study.lock_file).get(f"train@{variant}")
    if entry is None or any(folder.exists() for folder in folders):
        return
    plan = study.plan("train", variant)
    if locked_digest(entry, "deps", plan) == _digest(plan):
        return
    with contextlib.suppress(Exception):  # of DVC, whatever its cache or remote is like
        from dvc.api import DVCFileSystem

        files = DVCFileSystem(".")
        for folder in folders:
            _fetch(files, folder)


def _digest(plan: Path) -> str:
    """Return the digest of a plan as DVC notes it; of none where there is no plan."""
    content = plan.read_bytes() if plan.is_file() else b""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _fetch(files: Any, folder: Path) -> None:
    name = folder.as_posix()
    if files.exists(name):
        folder.parent.mkdir(parents=True, exist_ok=True)
        files.get(name, name, recursive=True)
