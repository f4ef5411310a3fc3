"""Stage generate: what a language model writes, and how much of it it has read."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.storage.folders import new_folder
from unroll.study import Study

if TYPE_CHECKING:
    import pandas as pd

    from unroll.data.corpus import Corpus
    from unroll.generation.writing import Continuation


def generate(study: Study, variant: str) -> None:
    """Let the best seed of a variant continue every prompt, where it is a model that writes."""
    with new_folder(study.generated(variant)) as folder:
        if study.generate is None or not study.kind_of(variant).continues:
            print(f"{variant}: nothing to write")
        else:
            _write(study, variant, folder)


def _write(study: Study, variant: str, folder: Path) -> None:
    # Here, not above: most variants have nothing to write, and that should not take seconds.
    from unroll.evaluation.evaluation import SAMPLES
    from unroll.generation import novelty
    from unroll.runs.model import read_model
    from unroll.runs.record import best, seed_folder
    from unroll.runs.trained import trained
    from unroll.storage.files import write_text
    from unroll.storage.tables import write_table

    chosen, kind = best(trained(study, variant)), study.kind_of(variant)
    with study.remedy(f"train@{variant}"):
        found = read_model(seed_folder(study.model(variant), chosen.seed))
    task = study.variant(variant).task
    with study.remedy(f"prepare@{task}"):
        corpus = kind.load(study.prepared(task))
    assert study.generate is not None
    written = kind.write(found, study.generate)
    text = "\n".join(
        f"=== {prompt}\n{one.text}\n" for prompt, texts in written.items() for one in texts
    )
    known = _known(written, corpus, study.generate.skip)
    write_text(folder / SAMPLES, text)
    write_table(folder / novelty.FILE, known)
    print(f"{variant}:\n{text}\nHow much of it stands in train:\n{known.to_string(index=False)}")


def _known(
    written: "Mapping[str, list[Continuation]]", corpus: "Corpus", skip: list[str]
) -> "pd.DataFrame":
    """Return how much of the samples, and of the test split, stands in train."""
    from unroll.generation.novelty import SAMPLES, TEST_SPLIT, novelty
    from unroll.generation.writing import skipped

    texts: dict[str, list[Any]] = {
        SAMPLES: [(one.prompt, one.words) for texts in written.values() for one in texts],
        TEST_SPLIT: [((), corpus.tokens["test"].tolist())],
    }
    return novelty(texts, corpus.tokens["train"].tolist(), skipped(skip, corpus.vocabulary))
