"""Dialogue: what was said, answered by what one says to that.

Built in are the conversations of chatterbot-corpus: each turn is answered by the next one. A file
is a table with a header, CSV or with tabs; two of its columns are read. What was said last stands,
with all its answers, in one split alone, whatever was said before it.
"""

from collections.abc import Hashable, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from unroll.data.dialogue import conversations
from unroll.data.found import check_free, read_rows
from unroll.data.pairs import Pairs, from_translations
from unroll.data.properties import Property, of_lengths
from unroll.data.sequences import SPLITS
from unroll.data.source import SourceOptions
from unroll.data.splits import splits_of
from unroll.data.vocabulary import RESERVED, Unit, split
from unroll.errors import UserError
from unroll.options import Count
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task

BUILT_IN = "chatterbot"
TURN = "¶"  # between what was said and what was said to that
Longest = Annotated[int, Field(ge=1, le=9_998)]


class DialogueOptions(SourceOptions):
    """The data section of a dialogue task."""

    built_in = BUILT_IN
    of_built_in = ("language", "turns_before")
    of_own = ("question_column", "answer_column")

    kind: Literal["dialogue"]
    source: str = BUILT_IN
    language: str = "english"
    turns_before: Annotated[int, Field(ge=0, le=20)] = 0
    question_column: str = "question"
    answer_column: str = "answer"
    unit: Unit = "token"
    minimum_count: Count = 1
    longest_question: Longest = 50
    longest_answer: Longest = 50
    valid: Count = 200
    test: Count = 200
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1984


class Dialogue(Task[DialogueOptions]):
    """What was said, and what one says to that."""

    kind = "replies"
    Options = DialogueOptions
    keeps_texts = True
    axes: ClassVar = {"question length": "symbols of what was said last"}

    @property
    def example(self) -> str:
        """Something to say in English; of another language there is none."""
        english = self.options.is_built_in and self.options.language == "english"
        return self.options.plain("How are you?") if english else ""

    def prepare(self) -> Pairs:
        """Read what was said, and draw what is held out.

        Raises:
            UserError: there is no such language.
            DataError: the file is no such table, or has too few rows.
        """
        options = self.options
        said, facts = self._built_in() if options.is_built_in else self._file()
        pairs = [pair for pair in dict.fromkeys(said) if self._is_whole(*pair)]
        short = [pair for pair in pairs if self._is_short(*pair)]
        of = splits_of(
            list(dict.fromkeys(str(self.same(question)) for question, _ in short)),
            options.valid,
            options.test,
            numpy_generator(options.seed, "dialogue", "splits"),
            f"questions of {options.source}",
        )
        splits = {s: [pair for pair in short if of[str(self.same(pair[0]))] == s] for s in SPLITS}
        facts |= {"pairs": len(said), "different": len(pairs), "too long": len(pairs) - len(short)}
        return from_translations(splits, (options.unit, options.unit), facts, options.minimum_count)

    def same(self, question: str) -> Hashable:
        """Return what was said last, whatever was said before."""
        return question.rpartition(TURN)[2].strip()

    def question(self, text: str) -> str:
        """Return what was said as the data have it: no more turns than a model has learned.

        Raises:
            UserError: nothing is left of it.
        """
        turns = [self.options.plain(turn) for turn in text.split(TURN)]
        if not split(turns[-1], self.options.unit):
            raise UserError(f"{text!r} has nothing in it to reply to")
        return self._joined([turn for turn in turns if turn])

    def in_context(self, text: str, earlier: Sequence[str]) -> str:
        """Return what was said after earlier turns."""
        return f" {TURN} ".join([*(turn.replace(TURN, " ") for turn in earlier), text])

    def properties(self, questions: Sequence[str]) -> list[Property]:
        """Return the bands of the lengths of what was said last."""
        lengths = [len(split(str(self.same(text)), self.options.unit)) for text in questions]
        return [of_lengths("question length", lengths)]

    def _joined(self, turns: Sequence[str]) -> str:
        return f" {TURN} ".join(turns[-1 - self.options.turns_before :])

    def _is_whole(self, question: str, answer: str) -> bool:
        last = str(self.same(question))
        return all(split(text, self.options.unit) for text in (last, answer))

    def _is_short(self, question: str, answer: str) -> bool:
        options = self.options
        return (
            len(split(question, options.unit)) <= options.longest_question
            and len(split(answer, options.unit)) <= options.longest_answer
        )

    def _built_in(self) -> tuple[list[tuple[str, str]], dict[str, object]]:
        options, said = self.options, []
        for _, turns in conversations(options.language):
            every = (options.plain(turn.replace(TURN, " ")) for turn in turns)
            plain = [turn for turn in every if split(turn, options.unit)]
            said += [(self._joined(plain[:i]), plain[i]) for i in range(1, len(plain))]
        return said, {"source": BUILT_IN, "language": options.language}

    def _file(self) -> tuple[list[tuple[str, str]], dict[str, object]]:
        options, path = self.options, self.options.file()
        rows, notes = read_rows(path, (options.question_column, options.answer_column))
        said = []
        for (question, answer), place in rows:
            pair = options.plain(question), options.plain(answer)
            for text in pair:
                check_free(split(text, options.unit), RESERVED, place)
                check_free(text, TURN, place)  # also within a word
            said.append(pair)
        return said, {"source": str(path), **({"found": notes} if notes else {})}
