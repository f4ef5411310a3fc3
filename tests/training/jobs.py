"""Runs of a toy variant, as a stage gives them to workers."""

from pathlib import Path

from models.toys import CPU, addition, pairs_options
from unroll.runs.subject import Subject
from unroll.storage.folders import digest
from unroll.training.checkpoint import Checkpoint
from unroll.training.run import Job
from unroll.training.sources import sources_digest


def job(seed: int, prepared: Path, target: Path, **changes) -> Job:
    changes = {"dropout": 0.2, "optimizer": "adam", **changes}
    options = pairs_options(seeds=[seed], **changes)
    remedy = "run: dvc repro prepare@toy"
    subject = Subject("toy", "tiny", options, digest(prepared), "cd" * 32, CPU.facts())
    folder = target.parent.with_name(f"{target.parent.name} checkpoints")
    checkpoint = Checkpoint(folder, seed, subject.key(seed), every=3)
    sources = sources_digest()
    return Job(subject, seed, addition(), CPU, prepared, target, checkpoint, sources, remedy)


ENDLESS = {"epochs": 1_000_000}
