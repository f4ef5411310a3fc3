"""Stage generate: what a language model writes, and how much of it it has read."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from unroll.data.corpus import Corpus
from unroll.evaluation.evaluation import SAMPLES as FILE
from unroll.generation import novelty
from unroll.generation.novelty import SAMPLES, TEST_SPLIT, Texts
from unroll.generation.writing import Continuation, skipped
from unroll.options import Generate
from unroll.runs.model import read_model
from unroll.runs.record import best, seed_folder
from unroll.runs.trained import trained
from unroll.storage.files import write_text
from unroll.storage.folders import new_folder
from unroll.storage.tables import write_table
from unroll.study import Study


def generate(study: Study, variant: str) -> None:
    """Let the best seed of a variant continue every prompt, where it is a model that writes."""
    kind = study.kind_of(variant)
    with new_folder(study.generated(variant)) as folder:
        if study.generate is None or not kind.continues:
            print(f"{variant}: nothing to write")
            return
        chosen = best(trained(study, variant))
        with study.remedy(f"train@{variant}"):
            found = read_model(seed_folder(study.model(variant), chosen.seed))
        task = study.variant(variant).task
        with study.remedy(f"prepare@{task}"):
            corpus = kind.load(study.prepared(task))
        _write(folder, kind.write(found, study.generate), corpus, study.generate)
    print((study.generated(variant) / FILE).read_text())


def _write(
    folder: Path, written: Mapping[str, list[Continuation]], corpus: Corpus, options: Generate
) -> None:
    text = "\n".join(
        f"=== {prompt}\n{one.text}\n" for prompt, texts in written.items() for one in texts
    )
    write_text(folder / FILE, text)
    write_table(folder / novelty.FILE, _known(written, corpus, options.skip))


def _known(
    written: Mapping[str, list[Continuation]], corpus: Corpus, skip: list[str]
) -> pd.DataFrame:
    """Return how much of the samples, and of the test split, stands in train."""
    samples = [(one.prompt, one.words) for texts in written.values() for one in texts]
    texts: dict[str, list[Texts]] = {
        SAMPLES: samples,
        TEST_SPLIT: [((), corpus.tokens["test"].tolist())],
    }
    return novelty.novelty(texts, corpus.tokens["train"].tolist(), skipped(skip, corpus.vocabulary))
