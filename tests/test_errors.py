import errno

import pytest

from unroll.errors import first_line, system_fault


def test_the_first_line_of_a_message_without_passwords():
    error = ValueError("no answer from postgres://me:hush@host:5432/runs\nmore\n")
    assert first_line(error) == "no answer from postgres://***@host:5432/runs"
    assert first_line(KeyError()) == "KeyError"
    assert len(first_line(ValueError("x" * 1_000))) == 200


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "data/x"), "data/x; free some space"),
        (OSError(errno.EACCES, "Permission denied", "data/x"), "Permission denied: data/x; make"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system; work in"),
        (OSError(errno.ELOOP, "Too many links", "x"), "Too many links: x; see to it"),
        (MemoryError(), "not enough memory; lower batch_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "not enough memory"),
        (RuntimeError("CUDA error: an illegal access\nmore"), "the GPU failed (CUDA error: an ill"),
    ],
)
def test_what_the_machine_refuses_is_explained(error, told):
    assert told in system_fault(error)


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), OSError("no number")])
def test_a_fault_of_the_program_is_not_explained_away(error):
    assert system_fault(error) is None
