"""What every task has: how its data are made, and what only it can know of them."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from unroll.data.properties import Property
from unroll.options import Strict

O = TypeVar("O", bound=Strict)  # noqa: E741


class Task(ABC, Generic[O]):
    """A task with its options: the data section of its entry in a params file.

    A task must have three things: `kind`, the name of the kind of model that learns it (kinds/);
    `Options`, what its data section may say; and `prepare`, which builds the data. The rest has
    defaults.
    """

    kind: ClassVar[str]
    Options: ClassVar[type[Strict]]
    has_levels: ClassVar[bool] = False  # its pairs say how hard they are: for curricula
    keeps_texts: ClassVar[bool] = False  # beside the symbols, which may be unknown
    axes: ClassVar[Mapping[str, str]] = {}  # what the axis of a property's picture says

    def __init__(self, options: O) -> None:
        self.options = options

    @property
    def example(self) -> str:
        """A question that `question` takes, as people ask it; empty: there is none."""
        return ""

    @property
    def leaks(self) -> bool:
        """Whether its splits share questions, and are taken all the same: its facts count them."""
        return False

    @abstractmethod
    def prepare(self) -> Any:
        """Return the data, as the kind of the task holds them.

        Raises:
            DataError: a file cannot be had, or is not as it should be.
            UserError: an option asks for what cannot be.
        """

    def same(self, question: str) -> Hashable:
        """Return what is equal for questions that must not stand in two splits."""
        return question

    def question(self, text: str) -> str:
        """Return a question in the form in which the data have it.

        Raises:
            UserError: it is none; the message says what one looks like.
        """
        return text

    def in_context(self, text: str, earlier: Sequence[str]) -> str:
        """Return a question as it stands after earlier turns, where these say anything."""
        return text

    def properties(self, questions: Sequence[str]) -> list[Property]:
        """Return the classes of questions by which results are broken down."""
        return []

    def is_true(self, question: str, answer: str) -> bool | None:
        """Say whether an answer is true, though it may not be the one expected; None: who knows."""
        return None

    def mistake(self, expected: str, answered: str) -> str:
        """Return the name of a wrong answer."""
        return first_difference(expected, answered)


def first_difference(expected: str, answered: str) -> str:
    """Return the name of a mistake in a task that has none of its own: `9 instead of 8`."""
    length = max(len(expected), len(answered))
    columns = zip(expected.ljust(length), answered.ljust(length), strict=True)
    wanted, given = next((e, a) for e, a in columns if e != a)
    return f"{_shown(given)} instead of {_shown(wanted)}"


def _shown(symbol: str) -> str:
    return symbol.replace(" ", "the end")
