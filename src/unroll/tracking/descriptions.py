"""What people read of a run in the MLflow UI: Markdown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unroll.kinds.kind import Kind
from unroll.runs.circumstances import Source
from unroll.runs.subject import Subject
from unroll.study import ROOT_STUDY, Study

SAMPLE_LINES = 16
BEGINS = "The variants of the task **"  # what is said of an experiment


def describe_run(
    kind: Kind[Any, Any],
    subject: Subject,
    seed: int | None,
    scores: Mapping[str, tuple[float, float]],
    parameters: int,
    samples: str,
) -> str:
    """Return what a run is, how well it did, and the first of its samples.

    `seed` is None for a variant as a whole; `scores` holds mean and standard deviation of
    each metric (not a number where there is one seed).
    """
    which = f"{len(subject.options.seeds)} seeds" if seed is None else f"seed {seed}"
    parts = [
        f"**{subject.variant}** on {subject.options.task}, {which}, {parameters:,} parameters.",
        "\n".join(
            f"- {name.replace('_', ' ')}: {kind.metric(name).show(*value)}"
            for name, value in scores.items()
        ),
    ]
    if samples:
        lines = samples.splitlines()[:SAMPLE_LINES]
        parts.append("\n".join(["```", *lines, "```"]))
    return "\n\n".join(filter(None, parts))


def way_back(study: Study, folder: Path, source: Source) -> str:
    """Return how to have the files of a run again."""
    within = f"--directory={source.folder} " if source.folder else ""
    patch = f" && git apply {within}uncommitted.diff" if source.dirty else ""
    checkout = f"git checkout {source.commit}{patch}\n" if source.commit else ""
    return (
        "To have its files again, with `dvc.lock` and what else is needed from *Artifacts*:\n\n"
        f"```\n{checkout}cp <downloaded>/dvc.lock {study.lock_file.as_posix()}\n"
        f"dvc checkout {folder.as_posix()}   # after dvc fetch, where another machine has them\n```"
    )


def describe_experiment(study: Study, task: str, address: str) -> str:
    """Return what an experiment holds and how to compare its runs.

    `address` is that of the view that shows the variants alone.
    """
    where = "" if study.name == ROOT_STUDY else f" of the study {study.name}"
    return (
        f"{BEGINS}{task}**{where}: a run each, with the means of its seeds, and "
        f"below it a run per seed. [**The variants alone, the best first**]({address}), with what "
        "they differ by. Tick some (or seeds) and press *Compare* for learning curves and bars."
    )
