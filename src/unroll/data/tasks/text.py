"""Text for a language model: the Penn Treebank, a built-in grammar, or a folder of files."""

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from unroll.config import Options as BaseOptions
from unroll.data import grammar, ptb
from unroll.data.corpus import SPLITS, Corpus, from_texts, read_texts
from unroll.errors import DataError

KIND = "corpus"


class Options(BaseOptions):
    """The data section of a text task."""

    kind: Literal["text"]
    source: str
    ptb_folder: str | None = None
    sentences: Annotated[int, Field(ge=300)] = 5_000  # fewer may lack a word of valid
    seed: Annotated[int, Field(ge=0)] = 1984


def prepare(options: Options) -> Corpus:
    """Build the corpus from `source`: `ptb`, `grammar`, or a folder of text files.

    Raises:
        DataError: a file cannot be had, or is not as it should be.
    """
    if options.source == "ptb":
        texts = ptb.texts(Path(options.ptb_folder) if options.ptb_folder else None)
        places = {split: ptb.file_name(split) for split in SPLITS}
        corpus = from_texts(texts, places, {"source": "ptb"})
        ptb.check_counts(corpus)
        return corpus
    if options.source == "grammar":
        return _from_grammar(options)
    if not Path(options.source).is_dir():
        raise DataError(f"source: {options.source} is no folder; name one, or choose: ptb, grammar")
    texts, places = read_texts(Path(options.source))
    return from_texts(texts, places, {"source": options.source})


def _from_grammar(options: Options) -> Corpus:
    """Draw train, and a tenth as many sentences for each of valid and test."""
    tenth = max(1, options.sentences // 10)
    sizes = {"train": options.sentences, "valid": tenth, "test": tenth}
    drawn = {split: grammar.draw(size, options.seed, split) for split, size in sizes.items()}
    texts = {split: text for split, (text, _) in drawn.items()}
    floors = {
        split: math.exp(-log_probability / len(text.split() + text.splitlines()))
        for split, (text, log_probability) in drawn.items()
    }
    facts = {
        "source": "grammar",
        "entropy_rate": grammar.entropy_rate(),
        "perplexity_floor": floors,
    }
    return from_texts(texts, {split: f"grammar ({split})" for split in SPLITS}, facts)
