"""Which code decides what a training leaves."""

import hashlib
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

# Seen from src/unroll. The train stages of dvc.yaml depend on the same files: command line,
# display, worker processes and tracking change no result.
TRAINING = (
    "config.py",
    "data/corpus.py",
    "data/files.py",
    "data/loading.py",
    "data/pairs.py",
    "data/prepared.py",
    "data/vocabulary.py",
    "evaluation/accuracy.py",
    "evaluation/perplexity.py",
    "generation/answering.py",
    "generation/decoding.py",
    "generation/sampling.py",
    "models",
    "record.py",
    "seeds.py",
    "subject.py",
    "training/checkpoint.py",
    "training/interruption.py",
    "training/loop.py",
    "training/machine.py",
    "training/objectives.py",
    "training/optimisation.py",
    "training/run.py",
)


def code_digest() -> str:
    """Return a SHA-256 of the code that decides what a training leaves."""
    total = hashlib.sha256()
    for name in TRAINING:
        path = PACKAGE / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            total.update(f"{file.relative_to(PACKAGE).as_posix()}\n".encode())
            total.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return total.hexdigest()
