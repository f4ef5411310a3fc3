"""Copying: digits, answered by themselves (Zaremba and Sutskever, 2014, "Learning to Execute").

The smallest task that asks for memory alone: a decoder that does not look back has all of the
digits in one state.
"""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from unroll.data.pairs import Pairs, from_texts
from unroll.data.properties import Property, of_values
from unroll.errors import UserError
from unroll.options import Count, Strict
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task

DIGITS = "0123456789"


class CopyOptions(Strict):
    """The data section of a copy task."""

    kind: Literal["copy"]
    shortest: Annotated[int, Field(ge=1, le=1_000)] = 5  # digits of a sequence
    longest: Annotated[int, Field(ge=1, le=1_000)] = 12
    train: Count = 20_000
    valid: Count = 1_000
    test: Count = 1_000
    seed: Annotated[int, Field(ge=0)] = 1984


class Copy(Task[CopyOptions]):
    """Sequences such as `271828`, answered by themselves."""

    kind = "pairs"
    Options = CopyOptions
    axes: ClassVar = {"length": "digits of the sequence"}

    @property
    def example(self) -> str:
        """As many digits as the shortest sequence has."""
        return (DIGITS * 101)[1 : self.options.shortest + 1]

    def prepare(self) -> Pairs:
        """Draw different sequences, each length as often.

        Raises:
            UserError: there are not as many.
        """
        options = self.options
        sizes = {"train": options.train, "valid": options.valid, "test": options.test}
        lengths = range(options.shortest, options.longest + 1)
        # Half of what there is, so that those still to be drawn are soon found.
        if 2 * sum(sizes.values()) > len(lengths) * 10**options.shortest:
            raise UserError(
                "shortest, longest: there are too few sequences of these lengths for train, valid "
                "and test; raise shortest, or lower these"
            )
        random = numpy_generator(options.seed, "copy", "sequences")
        texts: dict[str, None] = {}  # in the order of drawing
        while len(texts) < sum(sizes.values()):
            length = int(random.choice(lengths))
            texts["".join(random.choice([*DIGITS], size=length).tolist())] = None
        drawn = iter(texts)
        rows = {s: [(text, text) for text in islice(drawn, n)] for s, n in sizes.items()}
        return from_texts(rows, alphabets=(DIGITS, DIGITS))

    def question(self, text: str) -> str:
        """Return the digits of a text.

        Raises:
            UserError: it holds something else, or too many of them.
        """
        plain = re.sub(r"\s+", "", text)
        if not re.fullmatch(rf"[0-9]{{1,{self.options.longest}}}", plain):
            raise UserError(
                f"{text!r} is no question of this model; it takes 1 to {self.options.longest} "
                f"digits: {self.example}"
            )
        return plain

    def properties(self, questions: Sequence[str]) -> list[Property]:
        """Return how long sequences are."""
        return [of_values("length", [len(text) for text in questions])]
