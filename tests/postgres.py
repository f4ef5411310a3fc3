"""A PostgreSQL server of a test's own, of the programs that Debian's package postgresql has."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

INSTALLED = Path("/usr/lib/postgresql")
WITHOUT_ROOT = ("postgres", "nobody")  # as whom the server runs, which refuses to be root
PATIENCE = 60  # seconds until it answers
# Tests may lose what a power cut takes.
QUICK = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, None where there is none."""
    found = sorted(INSTALLED.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Yield the address of a new server, whose files lie in an empty folder; the block ends it.

    Where root runs the tests another user must be able to enter the folder's parents.
    """
    bin_, user = programs(), _user(folder)
    assert bin_ is not None, "no PostgreSQL here"
    cluster = folder / "cluster"
    made = [bin_ / "initdb", "-D", cluster, "-U", "unroll", "--auth=trust", "-E", "UTF8"]
    made += ["--no-locale", "--no-sync"]
    subprocess.run(made, cwd=folder, check=True, capture_output=True, **user)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    served = [bin_ / "postgres", "-D", cluster, "-p", str(port), "-k", "", *QUICK]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(served, cwd=folder, stdout=log, stderr=log, **user) as server,
    ):
        try:
            address = f"postgresql://unroll@127.0.0.1:{port}/postgres"
            _wait(address, server, folder / "log")
            yield address
        finally:
            server.send_signal(signal.SIGINT)  # connections that are left are closed


@pytest.fixture(scope="module")
def postgres_address() -> Iterator[str]:
    """Return the address of a server; where there can be none a test that asks is skipped."""
    if programs() is None:
        pytest.skip("there is no PostgreSQL (Debian's package postgresql)")
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder, postgres(Path(folder)) as found:
        yield found


def _user(folder: Path) -> dict[str, object]:
    """Return as whom to run the server; the folder is then that user's."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = next(known[name] for name in WITHOUT_ROOT if name in known)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _wait(address: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(address):
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())
