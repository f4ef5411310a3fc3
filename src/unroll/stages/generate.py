"""Stage generate: what the language models write, and how much of it they have read."""

from collections.abc import Mapping

import pandas as pd
import torch

from unroll.config import Generate, Study
from unroll.data.corpus import Corpus, load_corpus
from unroll.data.files import write_text
from unroll.data.tables import write_table
from unroll.errors import UserError
from unroll.evaluation.selection import best
from unroll.generation.novelty import SAMPLES, TEST_SPLIT, Written, novelty
from unroll.generation.sampling import Sampling
from unroll.generation.writing import as_text, encode_prompt, skipped, write
from unroll.models.build import Model
from unroll.record import Record, read_model
from unroll.seeds import torch_generator


def generate(study: Study) -> None:
    """Let the best seed of every language model continue every prompt."""
    if study.generate is None:
        raise UserError(f"{study.params_file} has no section generate")
    for variant, options in study.variants_of("corpus").items():
        remedy = study.remedy(f"train@{variant}")
        record, model = read_model(best([study.model(variant)], remedy), remedy)
        written = {p: _write(record, model, p, study.generate) for p in study.generate.prompts}
        text = "\n".join(
            f"=== {prompt}\n{_text(record, prompt, row)}\n"
            for prompt, rows in written.items()
            for row in rows
        )
        corpus = load_corpus(study.prepared(options.task), study.remedy(f"prepare@{options.task}"))
        known = _known(written, corpus, study.generate.skip)
        path = study.generated(variant)
        write_text(path, text)
        write_table(path.with_suffix(".csv"), known)
        print(f"{path}:\n{text}\nHow much of it stands in train:\n{known.to_string(index=False)}\n")


def _known(written: Mapping[str, list[list[int]]], corpus: Corpus, skip: list[str]) -> pd.DataFrame:
    """Return how much of the samples, and of the test split, stands in train."""
    samples: list[Written] = [
        (encode_prompt(prompt, corpus.vocabulary), row)
        for prompt, rows in written.items()
        for row in rows
    ]
    texts: dict[str, list[Written]] = {
        SAMPLES: samples,
        TEST_SPLIT: [((), corpus.tokens["test"].tolist())],
    }
    return novelty(texts, corpus.tokens["train"].tolist(), skipped(skip, corpus.vocabulary))


def continuations(record: Record, model: Model, prompt: str, options: Generate) -> list[str]:
    """Return `options.samples` texts that begin with the prompt."""
    return [_text(record, prompt, row) for row in _write(record, model, prompt, options)]


def _write(record: Record, model: Model, prompt: str, options: Generate) -> list[list[int]]:
    """Return the ids that follow the prompt in each sample."""
    ids = torch.tensor(encode_prompt(prompt, record.vocabulary))
    sampling = Sampling(
        options.temperature, options.top_k, options.top_p, skipped(options.skip, record.vocabulary)
    )
    generator = torch_generator(options.seed, "generate", prompt)
    written = write(model, ids, options.samples, options.length, sampling, generator)  # type: ignore[arg-type]
    rows: list[list[int]] = written.symbols.tolist()
    return rows


def _text(record: Record, prompt: str, ids: list[int]) -> str:
    return as_text(prompt, record.vocabulary.decode(ids))
