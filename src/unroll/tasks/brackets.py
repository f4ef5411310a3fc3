"""Brackets: is a sequence of them balanced? The smallest task of many symbols and one answer.

Balanced sequences are drawn by walks that never fall below zero and end there; of each, another one
of the same length is made that is not balanced, by turning one bracket around: no length and no
count of brackets alone tells the two labels apart in all cases.
"""

import re
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from unroll.data.labels import Labelled, LabelsForm
from unroll.data.properties import Property, of_values
from unroll.data.sequences import encode
from unroll.data.vocabulary import SPECIAL, Vocabulary
from unroll.errors import UserError
from unroll.options import Count, Strict
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task

LABELS = ["balanced", "unbalanced"]
FRUITLESS_ROUNDS = 20


class BracketsOptions(Strict):
    """The data section of a brackets task."""

    kind: Literal["brackets"]
    longest: Annotated[int, Field(ge=2, le=500)] = 16  # brackets in a sequence
    train: Count = 2_000
    valid: Count = 200
    test: Count = 200
    seed: Annotated[int, Field(ge=0)] = 1984


class Brackets(Task[BracketsOptions]):
    """Sequences such as `(())()`, each balanced or not."""

    kind = "labels"
    Options = BracketsOptions
    axes: ClassVar = {
        "length": "brackets in the sequence",
        "depth": "greatest depth, counted from the left",
    }

    @property
    def example(self) -> str:
        """A sequence that is short enough."""
        return "(())()" if self.options.longest >= 6 else "()"

    def prepare(self) -> Labelled:
        """Draw the sequences, half of them balanced.

        Raises:
            UserError: more sequences are asked for than there are.
        """
        options = self.options
        counts = {"train": options.train, "valid": options.valid, "test": options.test}
        drawn = _draw(sum(counts.values()), options)
        vocabulary = Vocabulary([SPECIAL["pad"], "(", ")"], special={"pad": SPECIAL["pad"]})
        bounds = np.cumsum(list(counts.values()))[:-1].tolist()
        sources, labels = {}, {}
        for split, (first, last) in zip(
            counts, zip([0, *bounds], [*bounds, len(drawn)], strict=True), strict=True
        ):
            rows = drawn[first:last]
            sources[split] = encode([text for text, _ in rows], vocabulary, options.longest, split)
            labels[split] = np.array([label for _, label in rows], dtype=np.int32)
        form = LabelsForm(source=vocabulary, source_width=options.longest, labels=LABELS)
        return Labelled(form, sources, labels, {"counts": counts})

    def question(self, text: str) -> str:
        """Return the brackets of a text, without blanks.

        Raises:
            UserError: it holds something else, or too many of them.
        """
        plain = re.sub(r"\s+", "", text)
        if not re.fullmatch(rf"[()]{{1,{self.options.longest}}}", plain):
            raise UserError(
                f"{text!r} is no question of this model; it takes 1 to {self.options.longest} "
                f"round brackets: {self.example}"
            )
        return plain

    def properties(self, questions: list[str]) -> list[Property]:  # type: ignore[override]
        """Return what may make a sequence hard: its length and its depth."""
        return [
            of_values("length", [len(text) for text in questions]),
            of_values("depth", [_depth(text) for text in questions]),
        ]


def _draw(count: int, options: BracketsOptions) -> list[tuple[str, int]]:
    """Return different sequences with the number of their label, shuffled."""
    random = numpy_generator(options.seed, "brackets", "sequences")
    found: dict[str, int] = {}
    fruitless = 0
    while len(found) < count:
        before = len(found)
        for _ in range(count):
            text = _balanced(2 * int(random.integers(1, options.longest // 2 + 1)), random)
            found.setdefault(text, 0)
            place = int(random.integers(len(text)))
            turned = text[:place] + ("(" if text[place] == ")" else ")") + text[place + 1 :]
            found.setdefault(turned, 1)
        fruitless = fruitless + 1 if len(found) == before else 0
        if fruitless == FRUITLESS_ROUNDS:
            raise UserError(
                f"only {len(found):,} of {count:,} different sequences could be drawn with "
                f"longest: {options.longest}; lower train, valid or test, or raise longest"
            )
    rows = list(found.items())
    return [rows[i] for i in random.permutation(len(rows))[:count].tolist()]


def _balanced(length: int, random: np.random.Generator) -> str:
    """Return a balanced sequence: where both can be, as likely to open as to close."""
    symbols, depth = [], 0
    for left in range(length, 0, -1):
        opens = depth == 0 or (depth < left and random.random() < 0.5)
        symbols.append("(" if opens else ")")
        depth += 1 if opens else -1
    return "".join(symbols)


def _depth(text: str) -> int:
    depths = np.cumsum([1 if symbol == "(" else -1 for symbol in text])
    return int(max(depths.max(), 0))
