"""Stage prepare: a task's data, built once for all its variants."""

from unroll.config import Study
from unroll.data.corpus import Corpus, save_corpus
from unroll.data.leakage import check_leakage
from unroll.data.pairs import save_pairs


def prepare(study: Study, name: str) -> None:
    """Build the data of a task and write them to the study's folder."""
    task, folder = study.task(name), study.prepared(name)
    data = task.module.prepare(task.data)
    if isinstance(data, Corpus):
        save_corpus(data, folder)
    else:
        check_leakage(data, getattr(task.module, "same", str))
        save_pairs(data, folder)
    counts = ", ".join(f"{split} {count:,}" for split, count in data.facts["counts"].items())
    unit = "tokens" if isinstance(data, Corpus) else "pairs"
    print(f"{folder}: {counts} {unit}; {len(data.vocabulary):,} symbols")
