"""Made-up data: pairs of many lengths or of one, words as seldom as those of a text."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from unroll.data.corpus import Corpus, CorpusForm
from unroll.data.pairs import Pairs, PairsForm
from unroll.data.sequences import SPLITS, Sequences
from unroll.data.vocabulary import SPECIAL, Vocabulary
from unroll.seeds import numpy_generator

SHORTEST, LONGEST = 3, 40
TYPICAL, SPREAD = 9, 0.5  # of a lognormal: the median, and the deviation of the logarithm
RELATED = 0.15  # the same deviation of a target's length from its source's

SENTENCE = 21  # words, as in the Penn Treebank
AT_ONCE = 100_000  # words that are drawn and written together


def lengths(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lengths (N,) of sources and targets as in a translation set, most of them short.

    Start and end of targets are not counted.
    """
    random = numpy_generator(0, "ragged", "lengths")
    sources = TYPICAL * np.exp(SPREAD * random.standard_normal(count))
    targets = sources * np.exp(RELATED * random.standard_normal(count))
    first, second = (
        side.round().clip(SHORTEST, LONGEST).astype(int) for side in (sources, targets)
    )
    return first, second


def ragged(count: int, words: int) -> Pairs:
    """Return pairs of many lengths; a target has the words of its source, as far as it goes."""
    return pairs(*lengths(count), words, LONGEST)


def even(count: int, words: int, length: int) -> Pairs:
    """Return pairs of one length, start and end of targets not counted."""
    of_all = np.full(count, length)
    return pairs(of_all, of_all, words, length)


def pairs(long: np.ndarray, wide: np.ndarray, words: int, longest: int) -> Pairs:
    """Return pairs of words drawn at random, their sources so long (N,), their targets so wide."""
    count = len(long)
    names = [f"w{i}" for i in range(words - len(SPECIAL))]
    vocabulary = Vocabulary([*SPECIAL.values(), *names], special=dict(SPECIAL), unit="word")
    pad, start, end = (vocabulary[role] for role in ("pad", "start", "end"))
    form = PairsForm(source=vocabulary, source_width=longest, target_width=longest + 2)
    drawn = numpy_generator(0, "ragged", "words").integers(len(SPECIAL), words, (count, longest))
    steps = np.arange(longest)
    source = np.where(steps < long[:, None], drawn, pad).astype(np.int32)
    target = np.full((count, longest + 2), pad, dtype=np.int32)
    target[:, 0] = start
    target[:, 1:-1] = np.where(steps < wide[:, None], drawn, pad)
    target[np.arange(count), wide + 1] = end
    sources = Sequences(source, long.astype(np.int32))
    targets = Sequences(target, (wide + 2).astype(np.int32))
    few = slice(0, min(count, 20))
    splits = {"train": slice(None), "valid": few, "test": few}
    return Pairs(
        form,
        {split: sources.part(splits[split]) for split in SPLITS},
        {split: targets.part(splits[split]) for split in SPLITS},
        {},
    )


def shares(words: int) -> np.ndarray:
    """Return how likely each word is: as in a text, the less the later it is numbered."""
    found = 1 / np.arange(1, words + 1)
    return found / found.sum()


def corpus(sizes: Mapping[str, int], words: int) -> Corpus:
    """Return so many words of each split, drawn at random."""
    tokens = {
        split: numpy_generator(0, "made-up words", split)
        .choice(words, size, p=shares(words))
        .astype(np.int32)
        for split, size in sizes.items()
    }
    end = SPECIAL["end"]
    symbols = [end, *(f"w{i}" for i in range(1, words))]
    form = CorpusForm(vocabulary=Vocabulary(symbols, special={"end": end}, unit="word"))
    return Corpus(form, tokens, {"counts": dict(sizes)})


def write_text(path: Path, tokens: int, words: int) -> None:
    """Write sentences of words drawn at random; the first ones have every word.

    So many tokens in all: words, and the ends of sentences.
    """
    random, names = numpy_generator(0, "made-up text", path.name), [f"w{i}" for i in range(words)]
    length = tokens * SENTENCE // (SENTENCE + 1)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(_sentences(names))
        for first in range(words, length, AT_ONCE):
            drawn = random.choice(words, min(AT_ONCE, length - first), p=shares(words))
            file.writelines(_sentences([names[i] for i in drawn]))


def _sentences(words: list[str]) -> Iterator[str]:
    """Yield words as sentences, each with the end of its line."""
    for first in range(0, len(words), SENTENCE):
        yield " ".join(words[first : first + SENTENCE]) + "\n"
