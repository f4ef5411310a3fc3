"""What DVC has noted of a study's stages: dvc.lock."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from unroll.errors import UserError
from unroll.storage.yaml import read_yaml


def read_lock(path: Path) -> dict[str, Any]:
    """Return the entries of a lock file by stage; none where there is no such file yet."""
    try:
        found = path.stat()
    except OSError:
        return {}
    return _entries(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=1)  # a second's work in Python alone, asked for once a variant
def _entries(path: Path, changed: int, size: int) -> dict[str, Any]:
    try:
        lock = read_yaml(path)
    except UserError:  # not one: DVC says so itself, when it is asked to run
        return {}
    stages = lock.get("stages") if isinstance(lock, dict) else None
    return stages if isinstance(stages, dict) else {}


def locked_digest(entry: Any, side: str, path: Path) -> str | None:
    """Return the MD5 of a path in the `deps` or the `outs` of a stage's entry."""
    listed = entry.get(side) if isinstance(entry, dict) else None
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and one.get("path") == path.as_posix():
            return str(one.get("md5"))
    return None
