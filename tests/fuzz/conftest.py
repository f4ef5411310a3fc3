"""Bounds on what an input may cost, and the count of all inputs at the end."""

import resource
import sys
from collections.abc import Iterator

import pytest

from fuzz.trial import TALLIES
from models.toys import one_thread

__all__ = ["bounded_memory", "one_thread"]

MOST_MEMORY = 3 * 2**30  # bytes more than at the start: a damaged number must not ask for more


@pytest.fixture(autouse=True, scope="module")
def bounded_memory() -> Iterator[None]:
    if sys.platform != "linux":  # elsewhere the address space cannot be bounded
        yield
        return
    with open("/proc/self/statm") as file:  # noqa: PTH123 - not a file of the project
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many inputs were tried; nothing where other processes tried them (-n 2)."""
    if not TALLIES:
        return
    terminalreporter.section("inputs")
    for tally in TALLIES.values():
        terminalreporter.write_line(str(tally))
    tried = sum(tally.tried for tally in TALLIES.values())
    terminalreporter.write_line(f"{tried:,} inputs in all")
