"""Locks that go with their process."""

import signal
import subprocess
import sys

import pytest

from unroll.sweeps.locks import DatabaseLocks, FileLocks, Locks
from unroll.sweeps.search import _locks, address_of

HOLD = """\
import sys, time
from unroll.sweeps.search import _locks, address_of
locks = _locks(address_of(sys.argv[1]))
assert locks.take("mine")
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def address(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/a.db"
    return request.getfixturevalue("postgres_address")


def locks(address: str) -> Locks:
    return _locks(address_of(address))


def test_each_database_has_its_locks(address):
    wanted = FileLocks if address.startswith("sqlite") else DatabaseLocks
    assert isinstance(locks(address), wanted)


def test_a_lock_is_held_by_one(address):
    one, other = locks(address), locks(address)
    assert one.take("a")
    assert not one.take("a")
    assert not other.take("a")
    assert other.take("b")
    one.release("a")
    assert other.take("a")


def test_a_lock_is_held_within_a_block_also_where_it_fails(address):
    one, other = locks(address), locks(address)
    with pytest.raises(ValueError, match="x"), one.held("c"):
        assert not other.take("c")
        raise ValueError("x")
    assert other.take("c")


@pytest.mark.slow
def test_a_lock_ends_with_a_process_that_is_killed(address):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, address], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        mine = locks(address)
        assert not mine.take("mine")
        process.send_signal(signal.SIGKILL)
        with mine.held("mine"):  # waits, if it must, until the server has noticed
            pass
