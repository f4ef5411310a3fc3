"""Locks that go with the process that holds them, however it ends: by them its trials are free.

A heartbeat would ask for a thread, for clocks that agree, and for patience before a trial of a
process that was killed can be taken up.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import URL, create_engine, text

from unroll.seeds import derive

# The server notices within a minute that a machine is gone that could not say so, and what lies
# between does not take a long training for a connection that nobody needs.
ALIVE = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"


class Locks(ABC):
    """Locks by name; none is taken twice by the same process."""

    @abstractmethod
    def take(self, name: str, wait: bool = False) -> bool:
        """Take a lock; return whether that was possible. Who waits has it in the end."""

    @abstractmethod
    def release(self, name: str) -> None:
        """Give a lock back."""

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Wait for a lock, and hold it within the block."""
        self.take(name, wait=True)
        try:
            yield
        finally:
            self.release(name)


class FileLocks(Locks):
    """Locks of the processes of one machine: files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.taken = folder, dict[str, FileLock]()
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, name: str, wait: bool = False) -> bool:
        """Take the lock of a file."""
        lock = FileLock(self.folder / f"{name}.lock")
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            return False
        self.taken[name] = lock
        return True

    def release(self, name: str) -> None:
        """Give the lock of a file back."""
        self.taken.pop(name).release()


class DatabaseLocks(Locks):
    """Locks of a PostgreSQL server (advisory ones): they end with the connection."""

    def __init__(self, address: URL) -> None:
        engine = create_engine(address, connect_args={"options": ALIVE})
        self.connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.taken = set[str]()  # the server would give them once more

    def take(self, name: str, wait: bool = False) -> bool:
        """Take the lock of a number that the name determines."""
        function = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
        if name in self.taken or self._ask(function, name) is False:
            return False
        self.taken.add(name)
        return True

    def release(self, name: str) -> None:
        """Give the lock back."""
        self.taken.remove(name)
        self._ask("pg_advisory_unlock", name)

    def _ask(self, function: str, name: str) -> object:
        return self.connection.scalar(text(f"SELECT {function}(:key)"), {"key": derive(0, name)})
