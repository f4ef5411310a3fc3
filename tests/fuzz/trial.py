"""One input tried: accepted, or refused with a message, soon; anything else is a fault."""

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings

from unroll.errors import DataError, UserError

T = TypeVar("T")

# UNROLL_FUZZ=2100 tries so many inputs of each kind, those of the short run among them.
INPUTS = int(os.environ.get("UNROLL_FUZZ", "100"))
SECONDS = 5.0  # of the processor, that one input may take; who waits meets the timeout of tests

many_examples = settings(
    deadline=None,
    max_examples=INPUTS,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Tally:
    """How many inputs of a kind were tried, and what came of them."""

    kind: str
    tried: int = 0
    accepted: int = 0
    slowest: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.kind:14} {self.tried:7,} tried, {self.accepted:7,} accepted, "
            f"slowest {self.slowest:.2f} s"
        )


TALLIES: dict[str, Tally] = {}


def numbered(kind: str) -> Iterator[random.Random]:
    """Yield a source of chance for each input; the number of the input decides all it gives."""
    for number in range(INPUTS):
        yield random.Random(f"{kind} {number}")


def attempt(
    kind: str,
    shown: Any,
    read: Callable[[], T],
    check: Callable[[T], None],
    refused: tuple[type[UserError], ...] = (DataError,),
) -> None:
    """Read an input; what is accepted must pass the check. `shown` is the input, or names it.

    `refused` are the errors that may be raised: they decide the exit code of a command.
    """
    tally = TALLIES.setdefault(kind, Tally(kind))
    tally.tried += 1
    start = time.process_time()
    try:
        found = read()
        check(found)
        tally.accepted += 1
    except UserError as error:
        assert str(error).strip(), f"{kind}: a refusal without a word: {shown!r}"
        assert type(error) in refused, f"{kind}: {error!r} for {shown!r}"
    except Exception as error:
        raise AssertionError(f"{kind}, input {tally.tried}: {shown!r}") from error
    seconds = time.process_time() - start
    tally.slowest = max(tally.slowest, seconds)
    assert seconds < SECONDS, f"{kind}, input {tally.tried} took {seconds:.1f} s: {shown!r}"
