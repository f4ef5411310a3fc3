"""Stage prepare: a task's data, built once for all its variants."""

from unroll import kinds
from unroll.data.leakage import check_leakage
from unroll.data.prepared import read_counts
from unroll.study import Study


def prepare(study: Study, name: str) -> None:
    """Build the data of a task and write them to the study's folder."""
    task, folder = study.task(name), study.prepared(name)
    kind, data = kinds.named(task.kind), task.prepare()
    if not task.leaks:
        check_leakage(kind.questions(data), task.same)
    kind.save(data, folder)
    counts = ", ".join(f"{split} {count:,}" for split, count in read_counts(folder).items())
    print(f"{folder}: {counts} {kind.unit}")
