"""Addition, character by character: `71+118 ` is answered by `_189 `.

The distribution is that of the book ("Deep Learning from Scratch 2", chapter 7) and of
the Keras example before it: each operand has 1 to `max_digits` digits, as many of each
length, every digit uniform (so `007` is drawn too and read as 7).
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from unroll.data.found import read_found
from unroll.data.pairs import Pairs, PairsForm
from unroll.data.properties import Property, of_values
from unroll.data.sequences import encode
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError, UserError
from unroll.options import Count, Strict
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task

START, BLANK = "_", " "
ALPHABET = "0123456789+" + BLANK + START

# A draw that brings nothing new this many times in a row has met the end of what is likely.
FRUITLESS_ROUNDS = 50


class AdditionOptions(Strict):
    """The data section of an addition task."""

    kind: Literal["addition"]
    source: str = "generated"
    max_digits: Annotated[int, Field(ge=1, le=9)] = 3
    train: Count = 45_000
    valid: Count = 5_000
    test: Count = 5_000
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1984


class Addition(Task[AdditionOptions]):
    """Questions such as `57+5`, answered by their sums."""

    kind = "pairs"
    Options = AdditionOptions
    axes: ClassVar = {
        "answer length": "symbols of the expected answer",
        "operand lengths": "digits of both operands",
        "carries": "carries in the sum",
    }

    @property
    def example(self) -> str:
        """A question of digits that there are."""
        return "57+5" if self.options.max_digits > 1 else "7+5"

    def prepare(self) -> Pairs:
        """Generate the questions, or read them from a file in the book's format.

        Raises:
            UserError: more questions are asked for than there are.
            DataError: the file is missing or has a line that is not a correct addition.
        """
        options = self.options
        if options.source != "generated":
            return _read(Path(options.source), options)
        counts = {"train": options.train, "valid": options.valid, "test": options.test}
        operands = _draw(sum(counts.values()), options, taken=np.empty(0, np.int64))
        # Short questions are few and soon all drawn: unshuffled, train would have them all.
        numpy_generator(options.seed, "addition", "splits").shuffle(operands)
        bounds = np.cumsum([counts["train"], counts["valid"]])
        splits = dict(zip(counts, np.split(operands, bounds), strict=True))
        return _assemble({split: _lines(rows) for split, rows in splits.items()}, options)

    def same(self, question: str) -> tuple[int, ...]:
        """Return what two questions have in common that are one but for the order of operands."""
        return tuple(sorted(_operands(question)))

    def question(self, text: str) -> str:
        """Return a question without blanks, its digits those of ASCII: ` 7 + 5` is `7+5`.

        Raises:
            UserError: it is no sum of two whole numbers of at most `max_digits` digits.
        """
        # Digits of any script, but no superscripts: `7²` is no number of two digits.
        parts = [part.strip() for part in text.replace("＋", "+").split("+")]
        symbols = [str(unicodedata.decimal(s, s)) for part in parts for s in (*part, "+")][:-1]
        plain = "".join(symbols)
        most = self.options.max_digits
        if not re.fullmatch(rf"[0-9]{{1,{most}}}\+[0-9]{{1,{most}}}", plain):
            digits = f"1 to {most} digits" if most > 1 else "1 digit"
            raise UserError(
                f"{text!r} is no question of this model; it adds two numbers of {digits}: "
                f"{self.example}"
            )
        return plain

    def properties(self, questions: Sequence[str]) -> list[Property]:
        """Return what may make a sum hard: the lengths of its operands and its carries."""
        lengths = ["+".join(map(str, map(len, question.split("+")))) for question in questions]
        return [
            of_values("operand lengths", lengths),
            of_values("carries", [_carries(*_operands(question)) for question in questions]),
        ]

    def mistake(self, expected: str, answered: str) -> str:
        """Return by how much a wrong answer is off: `+10`, `-1`, or `no number`."""
        if not (answered.isascii() and answered.isdigit()):
            return "no number"
        off = int(answered) - int(expected)
        return f"{off:+,}" if off else "leading zeros"


def _operands(question: str) -> tuple[int, int]:
    first, second = question.split("+")
    return int(first), int(second)


def _carries(a: int, b: int) -> int:
    """Return how many columns of a written addition pass something on to the next."""
    count = carry = 0
    while a or b:
        carry = (a % 10 + b % 10 + carry) // 10
        count, a, b = count + carry, a // 10, b // 10
    return count


def _draw(count: int, options: AdditionOptions, taken: np.ndarray) -> np.ndarray:
    """Return `count` different operand pairs (count, 2), also when swapped, none `taken`.

    `taken` holds the keys (see `_keys`) of questions that must not come again.
    """
    largest = 10**options.max_digits
    if count > (possible := largest * (largest + 1) // 2 - len(taken)):
        raise UserError(
            f"{count:,} different questions are asked for, but with max_digits: "
            f"{options.max_digits} there are only {possible:,}; lower train, valid or test, "
            "or raise max_digits"
        )
    random = numpy_generator(options.seed, "addition", "questions")
    chosen = np.empty((0, 2), np.int64)
    fruitless = 0
    while len(chosen) < count:
        digits = random.integers(1, options.max_digits + 1, size=(2 * count + 100, 2))
        drawn = random.integers(0, 10**digits)
        before = len(chosen)
        chosen = np.concatenate([chosen, drawn])
        _, first = np.unique(_keys(chosen), return_index=True)
        chosen = chosen[np.sort(first)]
        chosen = chosen[~np.isin(_keys(chosen), taken)]
        fruitless = fruitless + 1 if len(chosen) == before else 0
        if fruitless == FRUITLESS_ROUNDS:
            raise UserError(
                f"only {len(chosen):,} of {count:,} different questions could be drawn with "
                f"max_digits: {options.max_digits}; lower train, valid or test"
            )
    return chosen[:count]


def _keys(operands: np.ndarray) -> np.ndarray:
    """Return one number per operand pair (N, 2), the same when the operands are swapped."""
    keys: np.ndarray = operands.min(axis=1) * 10**9 + operands.max(axis=1)
    return keys


def _lines(operands: np.ndarray) -> list[tuple[str, str]]:
    """Return question and answer of each operand pair, as texts without blanks."""
    return [(f"{a}+{b}", str(a + b)) for a, b in operands.tolist()]


def _assemble(
    splits: dict[str, list[tuple[str, str]]], options: AdditionOptions, order: str = ALPHABET
) -> Pairs:
    """Encode the lines of each split; ids are given in the `order` of the symbols.

    As in the book one vocabulary serves both sides, and the blank fills texts and ends answers.
    """
    special = {"pad": BLANK, "start": START, "end": BLANK}
    vocabulary = Vocabulary.by_first_appearance(order + ALPHABET, special=special)
    question_width, answer_width = 2 * options.max_digits + 1, options.max_digits + 2
    sources, targets = {}, {}
    for split, lines in splits.items():
        for question, answer in lines:
            _check_sum(question, answer, f"the {split} split")
        questions, answers = ([line[side] for line in lines] for side in (0, 1))
        sources[split] = encode(questions, vocabulary, question_width, split)
        targets[split] = encode(answers, vocabulary, answer_width, split, start=True, end=True)
    form = PairsForm(source=vocabulary, source_width=question_width, target_width=answer_width)
    facts = {"counts": {s: len(lines) for s, lines in splits.items()}, "source": options.source}
    return Pairs(form, sources, targets, facts)


def _check_sum(question: str, answer: str, place: str) -> None:
    first, plus, second = question.partition("+")
    if not plus or not all(n.isascii() and n.isdigit() for n in (first, second, answer)):
        raise DataError(f"{place}: {question + START + answer!r} is not of the form 16+75_91")
    if int(first) + int(second) != int(answer):
        raise DataError(f"{place}: {question}={answer} is wrong")


def _read(path: Path, options: AdditionOptions) -> Pairs:
    """Read a file in the book's format and split it as the book does, nine tenths to train.

    Each line is a question filled with blanks, the start symbol, and the answer filled
    with blanks. Symbols are numbered by first appearance and the lines are shuffled by
    NumPy's legacy generator, so that the book's file with seed 1984 gives the book's
    arrays. The validation questions are generated, none of them in the file.
    """
    if not path.is_file():
        raise DataError(f"source: {path} is no file; name one, or choose: generated")
    text, notes = read_found(path)
    lines = text.removesuffix("\n").split("\n")
    parsed = [_parse(line, f"{path}, line {n}", options) for n, line in enumerate(lines, 1)]
    if len(parsed) < 10:
        raise DataError(f"{path}: {len(parsed)} questions are too few to split; at least 10")
    operands = np.array([_operands(question) for question, _ in parsed])
    _check_different(operands, path)
    generated = _draw(options.valid, options, taken=np.unique(_keys(operands)))
    order = np.arange(len(parsed))
    np.random.RandomState(options.seed).shuffle(order)
    shuffled = [parsed[i] for i in order]
    train = len(parsed) - len(parsed) // 10
    splits = {"train": shuffled[:train], "valid": _lines(generated), "test": shuffled[train:]}
    pairs = _assemble(splits, options, order="".join(dict.fromkeys(text.replace("\n", ""))))
    return replace(pairs, facts={**pairs.facts, "found": notes}) if notes else pairs


def _check_different(operands: np.ndarray, path: Path) -> None:
    first_lines: dict[int, int] = {}
    for number, ((a, b), key) in enumerate(zip(operands, _keys(operands), strict=True), 1):
        if (first := first_lines.setdefault(int(key), number)) != number:
            c, d = operands[first - 1]
            raise DataError(
                f"{path}, line {number}: {a}+{b} stands already in line {first} as {c}+{d}; "
                "it could come into both train and test"
            )


def _parse(line: str, place: str, options: AdditionOptions) -> tuple[str, str]:
    question, start, answer = line.partition(START)
    lengths = (2 * options.max_digits + 1, options.max_digits + 1)
    if not line.strip():
        raise DataError(f"{place}: empty")
    if not start:
        raise DataError(f"{place}: {line!r} has no {START!r} between question and answer")
    if unknown := set(line) - set(ALPHABET):
        raise DataError(f"{place}: unknown symbol {min(unknown)!r}")
    for part, longest in zip((question, answer), lengths, strict=True):
        if len(part) > longest:
            raise DataError(
                f"{place}: {part!r} has {len(part)} symbols; at most {longest} fit max_digits: "
                f"{options.max_digits}"
            )
    question, answer = question.rstrip(BLANK), answer.rstrip(BLANK)
    _check_sum(question, answer, place)
    if any(len(operand) > options.max_digits for operand in question.split("+")):
        raise DataError(f"{place}: {question} has more than max_digits: {options.max_digits}")
    return question, answer
