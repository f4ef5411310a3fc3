"""A training that is asked to end does so between two steps, never in the middle of one."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Interrupted(BaseException):
    """The run was asked to end."""


class Interruption:
    """Whether the run was asked to end.

    `check` raises at a moment that suits the training; within `anywhere` the request itself
    does, wherever the program stands.
    """

    def __init__(self) -> None:
        self.requested = False
        self._anywhere = False

    def listen(self) -> None:
        """Take SIGTERM as the request; Ctrl-C goes to the parent, which passes it on."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if self._anywhere:
            self._anywhere = False  # where the block is left is no place for a second one
            raise Interrupted

    def check(self) -> None:
        """Raise Interrupted where the run was asked to end."""
        if self.requested:
            raise Interrupted

    @contextlib.contextmanager
    def anywhere(self) -> Iterator[None]:
        """Let the request end the block wherever it stands."""
        self._anywhere = True
        try:
            self.check()
            yield
        finally:
            self._anywhere = False
        self.check()
