"""A corpus: one long stream of tokens for each of train, valid and test.

Text is read as the book reads the Penn Treebank: each line end becomes `<eos>`, words
stand between white space, and words are numbered by first appearance in train. Blank lines, as
between paragraphs, are no sentences: they are left out, and counted.

Lines are read one by one, those of train twice: its words are counted before they are numbered. So
of a text nothing is held but its different words and its ids.
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from unroll.data.found import FoundLines
from unroll.data.prepared import check_ids, read_prepared, write_prepared
from unroll.data.sequences import SPLITS
from unroll.data.vocabulary import SPECIAL, Vocabulary
from unroll.errors import DataError
from unroll.options import Count, Neutral, Strict

Facts = dict[str, Any]
EOS = SPECIAL["end"]
UNKNOWN = SPECIAL["unknown"]
LONGEST_LINE = 100_000
BLANK_LINE = re.compile(r"^[^\S\n]*\n", re.MULTILINE)
LINE = re.compile(r"[^\n]*\n|[^\n]+")  # with its end, which the last may lack
NONE = -1  # the id of a word that has none
Size = Annotated[int, Field(ge=3, le=10**9)]  # an end, the unknown, and a word


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
    facts: Facts

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


class WordOptions(Strict):
    """Which words of a text are symbols of their own; the others, those that are cut, are `<unk>`.

    Of a vocabulary that would be larger than `largest_vocabulary`, `<eos>` and `<unk>` included,
    the words are kept that stand most often in train, and of equal ones those that appear first.
    """

    lower_case: Annotated[bool, Neutral(False)] = False
    minimum_count: Annotated[Count, Neutral(1)] = 1  # times that a word stands in train
    largest_vocabulary: Annotated[Size | None, Neutral(None)] = None

    @property
    def cuts(self) -> bool:
        """Whether words may be cut."""
        return self.minimum_count > 1 or self.largest_vocabulary is not None

    def words(self, text: str) -> list[str]:
        """Return the words of a text as the vocabulary has them, cut or not."""
        return words(text.lower() if self.lower_case else text)


AS_THEY_ARE = WordOptions()


def word_vocabulary(stream: list[str]) -> Vocabulary:
    """Return the vocabulary of a stream of words, numbered by first appearance."""
    known = set(stream)
    special = {role: SPECIAL[role] for role in ("end", "unknown") if SPECIAL[role] in known}
    return Vocabulary.by_first_appearance(stream, special=special, unit="word")


def from_texts(texts: Mapping[str, str], places: Mapping[str, str], facts: Facts) -> Corpus:
    """Build a corpus from the text of each split; `places` names where each text stands.

    Raises:
        DataError: as `from_lines`.
    """
    return from_lines({split: LINE.findall(texts[split]) for split in SPLITS}, places, facts)


def from_lines(
    lines: Mapping[str, Iterable[str]],
    places: Mapping[str, str],
    facts: Facts,
    options: WordOptions = AS_THEY_ARE,
) -> Corpus:
    """Build a corpus from the lines of each split, with their ends; those of train are read twice.

    A word of valid or test that train lacks becomes `<unk>` where train has that symbol, as its own
    or because words of it were cut.

    Raises:
        DataError: a text has no words, a line is over-long, or holds a word that train lacks and
            train has no `<unk>`; the message names the file and the line. Or all words are cut.
    """
    counts = _counts(lines["train"], places["train"], options)
    kept = _kept(counts, options, places["train"])
    vocabulary = word_vocabulary([word if word in kept else UNKNOWN for word in counts])
    streams = {split: _stream(lines[split], places[split], vocabulary, options) for split in SPLITS}
    blank = {split: stream.blank for split, stream in streams.items()}
    facts = {
        **facts,
        **({"blank_lines": blank} if any(blank.values()) else {}),
        "counts": {split: len(stream.ids) for split, stream in streams.items()},
        "words": len(vocabulary),
    }
    if options.cuts:
        became = {split: stream.became_unknown for split, stream in streams.items()}
        facts |= {"words_cut": len(counts.keys() - kept), "became_unknown": became}
    tokens = {split: stream.ids for split, stream in streams.items()}
    return Corpus(CorpusForm(vocabulary=vocabulary), tokens, facts)


def _counts(lines: Iterable[str], place: str, options: WordOptions) -> Counter[str]:
    """Return how often each word stands in train, by first appearance."""
    counts: Counter[str] = Counter()
    for line in _checked(lines, place):
        counts.update(options.words(line))
    _check_text(counts, place)
    if EOS not in counts:
        raise DataError(f"{place} has no line end: put one sentence on each line")
    return counts


def _kept(counts: Counter[str], options: WordOptions, place: str) -> set[str]:
    """Return the words of train that are not cut, among them the special ones."""
    own = [word for word in counts if word not in (EOS, UNKNOWN)]
    kept = [word for word in own if counts[word] >= options.minimum_count]
    if own and not kept:
        raise DataError(f"minimum_count: no word of {place} stands there so often; lower it")
    special = 1 + (UNKNOWN in counts or len(kept) < len(own))
    if options.largest_vocabulary and len(kept) + special > options.largest_vocabulary:
        kept.sort(key=lambda word: -counts[word])  # of equal ones, what appears first
        kept = kept[: options.largest_vocabulary - 2]  # without the end and the unknown
    return {*kept, EOS, UNKNOWN}


class _Stream(NamedTuple):
    ids: np.ndarray
    became_unknown: int  # tokens
    blank: int  # lines


def _stream(
    lines: Iterable[str], place: str, vocabulary: Vocabulary, options: WordOptions
) -> _Stream:
    ids, became_unknown, blank = array("i"), 0, 0
    known, unknown = vocabulary.ids, vocabulary.ids.get(UNKNOWN, NONE)
    for number, line in enumerate(_checked(lines, place), 1):
        found = options.words(line)
        row = [known.get(word, unknown) for word in found]
        if NONE in row:
            raise DataError(
                f"{place}, line {number}: the word {found[row.index(NONE)]!r} does not stand in "
                f"train, and train has no {UNKNOWN} to take its place; a higher minimum_count or a "
                f"smaller largest_vocabulary makes the rare words of train {UNKNOWN}"
            )
        became_unknown += row.count(unknown) - found.count(UNKNOWN)
        blank += not found and line.endswith("\n")
        ids.extend(row)
    _check_text(ids, place)
    return _Stream(np.frombuffer(ids, dtype=np.int32), became_unknown, blank)


def _checked(lines: Iterable[str], place: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        length = len(line.removesuffix("\n"))
        if length > LONGEST_LINE:
            raise DataError(
                f"{place}, line {number}: {length:,} characters, at most {LONGEST_LINE:,} are "
                "taken; put one sentence on each line"
            )
        yield line


def _check_text(words: Sized, place: str) -> None:
    if not words:
        raise DataError(f"{place} holds no text")


def from_folder(source: str, options: WordOptions) -> Corpus:
    """Build a corpus from the files of a folder, which are never in memory as a whole.

    Raises:
        DataError: as `found_texts` and `from_lines`; or a file is not UTF-8.
    """
    texts = found_texts(Path(source))
    corpus = from_lines(texts, {split: str(of.path) for split, of in texts.items()}, {}, options)
    notes = {split: of.notes for split, of in texts.items() if of.notes}
    facts = {"source": source, **({"found": notes} if notes else {}), **corpus.facts}
    return replace(corpus, facts=facts)


def found_texts(folder: Path) -> dict[str, FoundLines]:
    """Return the text of each split: `*train*.txt` and so on in `folder`.

    Raises:
        DataError: the folder or one of its three files is missing, or twice there.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; it must hold train.txt, valid.txt and test.txt")
    texts = {}
    for split in SPLITS:
        found = sorted(folder.glob(f"*{split}*.txt"))
        if len(found) != 1:
            names = " and ".join(path.name for path in found) or "none"
            raise DataError(f"{folder}: expected one file like {split}.txt, found {names}")
        texts[split] = FoundLines(found[0])
    return texts


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
