"""A corpus: one long stream of tokens for each of train, valid and test.

Text is read as the book reads the Penn Treebank: each line end becomes `<eos>`, words
stand between white space, and words are numbered by first appearance in train. Blank lines, as
between paragraphs, are no sentences: they are left out, and counted.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import model_validator

from unroll.data.found import read_found
from unroll.data.prepared import check_ids, read_prepared, write_prepared
from unroll.data.sequences import SPLITS
from unroll.data.vocabulary import SPECIAL, Vocabulary
from unroll.errors import DataError
from unroll.options import Strict

EOS = SPECIAL["end"]
UNKNOWN = SPECIAL["unknown"]
LONGEST_LINE = 100_000
BLANK_LINE = re.compile(r"^[^\S\n]*\n", re.MULTILINE)


class CorpusForm(Strict):
    """What a language model must know of its data: the words, and which of them ends a sentence."""

    vocabulary: Vocabulary

    @model_validator(mode="after")
    def _ends(self) -> "CorpusForm":
        if "end" not in self.vocabulary.special:
            raise ValueError("the vocabulary has no word that ends a sentence")
        return self


@dataclass(frozen=True)
class Corpus:
    """Prepared token ids of each split, 1-dimensional."""

    form: CorpusForm
    tokens: dict[str, np.ndarray]
    facts: dict[str, Any]

    @property
    def vocabulary(self) -> Vocabulary:
        """The words."""
        return self.form.vocabulary

    @property
    def eos(self) -> int:
        """The id of the end of a sentence."""
        return self.vocabulary["end"]


def words(text: str) -> list[str]:
    """Return the words of a text; each line end is the word `<eos>`, but those of blank lines."""
    return BLANK_LINE.sub("", text).replace("\n", f" {EOS} ").split()


def word_vocabulary(stream: list[str]) -> Vocabulary:
    """Return the vocabulary of a stream of words, numbered by first appearance."""
    known = set(stream)
    special = {role: SPECIAL[role] for role in ("end", "unknown") if SPECIAL[role] in known}
    return Vocabulary.by_first_appearance(stream, special=special, unit="word")


def from_texts(texts: dict[str, str], places: dict[str, str], facts: dict[str, Any]) -> Corpus:
    """Build a corpus from the text of each split; `places` names where each text stands.

    A word of valid or test that train lacks becomes `<unk>` where train has that symbol.

    Raises:
        DataError: a text has no words, a line is over-long, or holds a word that train lacks and
            train has no `<unk>`; the message names the file and the line.
    """
    for split in SPLITS:
        _check_lines(texts[split], places[split])
    streams = {split: words(texts[split]) for split in SPLITS}
    vocabulary = word_vocabulary(streams["train"])
    if "end" not in vocabulary.special:
        raise DataError(f"{places['train']} has no line end: put one sentence on each line")
    tokens = {}
    for split in SPLITS:
        _check_words(texts[split], vocabulary, places[split])
        tokens[split] = np.array(vocabulary.encode(streams[split], places[split]), dtype=np.int32)
    counts = {split: len(stream) for split, stream in streams.items()}
    blank = {split: len(BLANK_LINE.findall(texts[split])) for split in SPLITS}
    if any(blank.values()):
        facts = {**facts, "blank_lines": blank}
    facts = {**facts, "counts": counts, "words": len(vocabulary)}
    return Corpus(CorpusForm(vocabulary=vocabulary), tokens, facts)


def _check_lines(text: str, place: str) -> None:
    if not text.strip():
        raise DataError(f"{place} holds no text")
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"{place}, line {number}: {len(line):,} characters, at most {LONGEST_LINE:,} are "
                "taken; put one sentence on each line"
            )


def _check_words(text: str, vocabulary: Vocabulary, place: str) -> None:
    if "unknown" in vocabulary.special:
        return
    for number, line in enumerate(text.split("\n"), 1):
        for word in line.split():
            if word not in vocabulary.ids:
                raise DataError(
                    f"{place}, line {number}: the word {word!r} does not stand in train, "
                    f"and train has no {UNKNOWN} to take its place"
                )


def read_texts(folder: Path) -> tuple[dict[str, str], dict[str, str], dict[str, list[str]]]:
    """Return the text of each split, its place, and what in it was not as usual.

    The texts are `*train*.txt` and so on in `folder`.

    Raises:
        DataError: the folder or one of its three files is missing, twice there, or not
            UTF-8.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; it must hold train.txt, valid.txt and test.txt")
    paths = {}
    for split in SPLITS:
        found = sorted(folder.glob(f"*{split}*.txt"))
        if len(found) != 1:
            names = " and ".join(path.name for path in found) or "none"
            raise DataError(f"{folder}: expected one file like {split}.txt, found {names}")
        paths[split] = found[0]
    read = {split: read_found(path) for split, path in paths.items()}
    return (
        {split: text for split, (text, _) in read.items()},
        {split: str(path) for split, path in paths.items()},
        {split: notes for split, (_, notes) in read.items() if notes},
    )


def save_corpus(corpus: Corpus, folder: Path) -> None:
    """Write a prepared corpus; an earlier folder is replaced only when all is written."""
    write_prepared(folder, "corpus", corpus.form, corpus.facts, {}, corpus.tokens)


def load_corpus(folder: Path) -> Corpus:
    """Read a prepared corpus, without reading the arrays into memory.

    Raises:
        DataError: something is missing or damaged.
    """
    form, facts, tokens = read_prepared(folder, "corpus", CorpusForm)
    if tokens.keys() != set(SPLITS) or any(stream.ndim != 1 for stream in tokens.values()):
        raise DataError(f"{folder} does not hold a stream of tokens for each split")
    for split, stream in tokens.items():
        check_ids(folder, split, stream, len(form.vocabulary))
    if len(tokens["train"]) < 2:
        raise DataError(f"{folder}: one token is no text to learn from")
    return Corpus(form, tokens, facts)
