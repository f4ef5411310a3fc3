"""Where the files of a variant come from, in DVC's words: the entries of dvc.lock."""

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML

from unroll import kinds
from unroll.data.prepared import read_counts
from unroll.storage.folders import check_folder
from unroll.storage.lock import locked_digest, read_lock
from unroll.study import Study


@dataclass(frozen=True)
class Data:
    """The prepared data as MLflow lists them among a run's inputs."""

    name: str
    digest: str  # DVC's
    source: str
    columns: tuple[str, ...]
    counts: dict[str, int]  # of each split


@dataclass(frozen=True)
class Origin:
    """What dvc.lock says of a variant's data and models, where they are as it says."""

    tags: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    data: Data | None = None


def origin(study: Study, variant: str) -> Origin:
    """Return the lineage of a variant.

    The tags `dvc.data` and `dvc.model` hold the digests by which DVC knows the folders; the
    file `dvc.lock` holds the entries of the stages that made them, enough for `dvc checkout`.
    Both are left out where the folders are not what dvc.lock says (a stage run by hand).
    """
    task = study.variant(variant).task
    folders = {"dvc.data": study.prepared(task), "dvc.model": study.model(variant)}
    stages = {"dvc.data": f"prepare@{task}", "dvc.model": f"train@{variant}"}
    digests = {tag: dvc_digest(folder) for tag, folder in folders.items() if folder.is_dir()}
    data = None
    if "dvc.data" in digests:
        data = _data(study, task, digests["dvc.data"])
    entries = read_lock(study.lock_file)
    locked = {tag: entries.get(stage, {}) for tag, stage in stages.items()}
    if any(
        locked_digest(locked[tag], "outs", folders[tag]) != digests.get(tag, "") for tag in folders
    ):
        return Origin(data=data)
    excerpt = {stages[tag]: entry for tag, entry in locked.items()}
    text = io.StringIO()
    yaml = YAML()
    yaml.dump({"schema": "2.0", "stages": excerpt}, text)
    return Origin(digests, {"dvc.lock": text.getvalue().encode()}, data)


def dvc_digest(folder: Path) -> str:
    """Return the digest by which DVC knows a folder: the MD5 of its list of files."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    rows = [
        {
            "md5": hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest(),
            "relpath": file.relative_to(folder).as_posix(),
        }
        for file in files
    ]
    rows.sort(key=lambda row: row["relpath"])
    listing = json.dumps(rows, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def _data(study: Study, task: str, digest: str) -> Data:
    prepared = study.prepared(task)
    with study.remedy(f"prepare@{task}"):
        check_folder(prepared)
        counts = read_counts(prepared)
    columns = kinds.named(study.task(task).kind).columns
    return Data(task, digest, prepared.as_posix(), columns, counts)
