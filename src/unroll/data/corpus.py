"""A corpus: one long stream of tokens for each of train, valid and test.

Text is read as the book reads the Penn Treebank: each line end becomes `<eos>`, words
stand between white space, and words are numbered by first appearance in train.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unroll.data.files import read_text
from unroll.data.prepared import check_ids, read_prepared, write_prepared
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError

EOS = "<eos>"
UNKNOWN = "<unk>"
SPLITS = ("train", "valid", "test")
LONGEST_LINE = 100_000


@dataclass(frozen=True)
class Corpus:
    """Prepared token ids of each split, 1-dimensional."""

    vocabulary: Vocabulary
    tokens: dict[str, np.ndarray]
    facts: dict[str, Any]

    @property
    def form(self) -> dict[str, Any]:
        """What a model must know of the data beside the vocabulary: nothing."""
        return {}

    @property
    def eos(self) -> int:
        """The id of the end of a sentence."""
        return self.vocabulary.ids[EOS]


def words(text: str) -> list[str]:
    """Return the words of a text; each line end is the word `<eos>`."""
    return text.replace("\n", f" {EOS} ").split()


def from_texts(texts: dict[str, str], places: dict[str, str], facts: dict[str, Any]) -> Corpus:
    """Build a corpus from the text of each split; `places` names where each text stands.

    A word of valid or test that train lacks becomes `<unk>` where train has that symbol.

    Raises:
        DataError: a line is empty or over-long, or holds a word that train lacks and train has no
            `<unk>`; the message names the file and the line.
    """
    for split in SPLITS:
        _check_lines(texts[split], places[split])
    streams = {split: words(texts[split]) for split in SPLITS}
    vocabulary = Vocabulary.by_first_appearance(streams["train"])
    if EOS not in vocabulary.ids:
        raise DataError(f"{places['train']} has no line end: put one sentence on each line")
    tokens = {"train": np.array(vocabulary.encode(streams["train"], places["train"]))}
    for split in ("valid", "test"):
        tokens[split] = np.array(_encode(texts[split], vocabulary, places[split]))
    counts = {split: len(stream) for split, stream in streams.items()}
    return Corpus(vocabulary, tokens, {**facts, "counts": counts, "words": len(vocabulary)})


def _check_lines(text: str, place: str) -> None:
    lines = text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise DataError(f"{place}, line {number}: empty; every line must hold a sentence")
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"{place}, line {number}: {len(line):,} characters, at most {LONGEST_LINE:,} are "
                "taken; put one sentence on each line"
            )


def _encode(text: str, vocabulary: Vocabulary, place: str) -> list[int]:
    unknown = vocabulary.ids.get(UNKNOWN)
    ids = [vocabulary.ids.get(word, unknown) for word in words(text)]
    if unknown is None and None in ids:
        for number, line in enumerate(text.split("\n"), 1):
            for word in line.split():
                if word not in vocabulary.ids:
                    raise DataError(
                        f"{place}, line {number}: the word {word!r} does not stand in train, "
                        f"and train has no {UNKNOWN} to take its place"
                    )
    return [i for i in ids if i is not None]


def read_texts(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the text of each split and its place: `*train*.txt` and so on in `folder`.

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
    return {s: read_text(p) for s, p in paths.items()}, {s: str(p) for s, p in paths.items()}


def save_corpus(corpus: Corpus, folder: Path) -> None:
    """Write a prepared corpus; an earlier folder is replaced only when all is written."""
    write_prepared(folder, "corpus", corpus.tokens, corpus.vocabulary, corpus.facts)


def load_corpus(folder: Path, remedy: str) -> Corpus:
    """Read a prepared corpus.

    Raises:
        DataError: something is missing or damaged; `remedy` says how to make it anew.
    """
    tokens, vocabulary, facts = read_prepared(folder, "corpus", remedy)
    check_ids(folder, tokens, dict.fromkeys(SPLITS, 1), len(vocabulary), remedy)
    if EOS not in vocabulary.ids:
        raise DataError(f"{folder}: the vocabulary has no {EOS}; {remedy}")
    if len(tokens["train"]) < 2:
        raise DataError(f"{folder}: one token is no text to learn from; {remedy}")
    return Corpus(vocabulary, tokens, facts)
