"""Seeds that were trained before: where DVC has cleared them away, they are in its cache."""

import contextlib
from pathlib import Path

from unroll.study import Study


def bring_back(study: Study, variant: str) -> None:
    """Put the models of a variant where they were when DVC last noted them.

    DVC removes the outputs of a stage before it runs it, also the seeds that are still asked for.
    (It has an option to leave them, `persist`, which takes away its run cache: an option that is
    put back would be trained again.) Where there is no DVC, or nothing in its cache, nothing is
    brought.
    """
    folders = (study.model(variant), study.circumstances(variant))
    if any(folder.exists() for folder in folders) or not study.lock_file.is_file():
        return
    if f"train@{variant}:" not in study.lock_file.read_text():
        return
    with contextlib.suppress(Exception):  # of DVC, whatever its cache or remote is like
        from dvc.api import DVCFileSystem

        files = DVCFileSystem(".")
        for folder in folders:
            _fetch(files, folder)


def _fetch(files: object, folder: Path) -> None:
    name = folder.as_posix()
    if files.exists(name):  # type: ignore[attr-defined]
        folder.parent.mkdir(parents=True, exist_ok=True)
        files.get(name, name, recursive=True)  # type: ignore[attr-defined]
