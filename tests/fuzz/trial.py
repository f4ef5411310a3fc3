"""One input tried: accepted, or refused with a message, soon; anything else is a fault."""

import os
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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
    known: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        known = "".join(f"; known fault, {n:,} times: {what}" for what, n in self.known.items())
        return (
            f"{self.kind:14} {self.tried:7,} tried, {self.accepted:7,} accepted, "
            f"slowest {self.slowest:.2f} s{known}"
        )


TALLIES: dict[str, Tally] = {}


def numbered(kind: str) -> Iterator[random.Random]:
    """Yield a source of chance for each input; the number of the input decides all it gives."""
    for number in range(INPUTS):
        yield random.Random(f"{kind} {number}")


def attempt(kind: str, shown: Any, read: Callable[[], T], check: Callable[[T], None]) -> None:
    """Read an input; what is accepted must pass the check. `shown` is the input, or names it."""
    tally = TALLIES.setdefault(kind, Tally(kind))
    tally.tried += 1
    start = time.process_time()
    try:
        found = read()
        check(found)
        tally.accepted += 1
    except UserError as error:
        # The command line prints the message and ends with the code.
        assert str(error).strip(), f"{kind}: a refusal without a word: {shown!r}"
        assert error.exit_code == (1 if isinstance(error, DataError) else 2)
    except Exception as error:
        if (known := known_fault(error)) is None:
            raise AssertionError(f"{kind}, input {tally.tried}: {shown!r}") from error
        tally.known[known] += 1
    seconds = time.process_time() - start
    tally.slowest = max(tally.slowest, seconds)
    assert seconds < SECONDS, f"{kind}, input {tally.tried} took {seconds:.1f} s: {shown!r}"


# Faults of files that must not change while a training runs: they are counted, and said at the
# end. Each is known by the class of its error and the function that it comes out of.
KNOWN: list[tuple[type[Exception] | tuple[type[Exception], ...], str]] = [
    ((ValueError, RecursionError), "read_json"),  # thousands of digits or brackets
    ((AttributeError, TypeError), "read_arrays"),  # numbers that NumPy does not have
    (OSError, "check_folder"),  # a name of more bytes than a file system takes
    (AssertionError, "check_stored"),  # ids that are no whole numbers
    (AssertionError, "check_symbols"),  # symbols of no characters
    (UnicodeEncodeError, "check_text"),  # halves of symbols
    ((OSError, MemoryError, RuntimeError), "read_model"),  # no weights; enormous sizes
    (AssertionError, "check_weights"),  # not in float32, or not finite
    (AssertionError, "check_history"),  # a number that is not finite
    (TypeError, "_digest"),  # of tensors that NumPy does not have
    (RuntimeError, "choose"),  # the ends of temperature and top_p
]


def known_fault(error: Exception) -> str | None:
    """Return the place of a known fault, None of any other."""
    places = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
    found = (place for kind, place in KNOWN if isinstance(error, kind) and place in places)
    return next(found, None)
