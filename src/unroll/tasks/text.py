"""Text for a language model: the Penn Treebank, a built-in grammar, or a folder of files."""

import math
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from unroll.data import grammar, ptb
from unroll.data.corpus import Corpus, WordOptions, from_folder, from_texts
from unroll.data.sequences import SPLITS
from unroll.data.source import refuse_idle
from unroll.errors import DataError
from unroll.tasks.task import Task

OWN = "a folder"
ONLY_OF = {  # options, by the source of which they are
    "ptb": ("ptb_folder",),
    "grammar": ("sentences", "seed"),
    OWN: tuple(WordOptions.model_fields),
}


class TextOptions(WordOptions):
    """The data section of a text task. An option that does nothing with its source is refused."""

    kind: Literal["text"]
    source: str
    ptb_folder: str | None = None
    sentences: Annotated[int, Field(ge=300)] = 5_000  # fewer may lack a word of valid
    seed: Annotated[int, Field(ge=0)] = 1984

    @model_validator(mode="after")
    def _all_have_an_effect(self) -> "TextOptions":
        here = self.source if self.source in ONLY_OF else OWN
        refuse_idle(self, {of: names for of, names in ONLY_OF.items() if of != here})
        return self


class Text(Task[TextOptions]):
    """What comes next, word by word."""

    kind = "corpus"
    Options = TextOptions
    axes: ClassVar = {
        "times in train": "times that the word stands in train",
        "position in sentence": "position of the word in its sentence",
    }

    def prepare(self) -> Corpus:
        """Build the corpus from `source`: `ptb`, `grammar`, or a folder of text files.

        Raises:
            DataError: a file cannot be had, or is not as it should be.
        """
        source = self.options.source
        if source == "ptb":
            return _penn_treebank(self.options)
        if source == "grammar":
            return _from_grammar(self.options)
        if not Path(source).is_dir():
            raise DataError(f"source: {source} is no folder; name one, or choose: ptb, grammar")
        return from_folder(source, self.options)


def _penn_treebank(options: TextOptions) -> Corpus:
    texts = ptb.texts(Path(options.ptb_folder) if options.ptb_folder else None)
    places = {split: ptb.file_name(split) for split in SPLITS}
    corpus = from_texts(texts, places, {"source": "ptb"})
    ptb.check_counts(corpus)
    return corpus


def _from_grammar(options: TextOptions) -> Corpus:
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
