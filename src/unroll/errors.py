"""Errors that a user can cause and mend; the command line prints them without a traceback."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator


class UserError(Exception):
    """Something in the command or in a params file is wrong.

    The message names the thing, the place and the way out.
    """

    exit_code = 2
    seed: int | None = None  # of several that are trained together, the one of which it tells


class DataError(UserError):
    """A file that a command reads is missing, damaged or not in the expected form."""

    exit_code = 1

    def __init__(self, message: str, remedied: bool = False) -> None:
        super().__init__(message)
        self.remedied = remedied  # the message says what to do


class TrainingError(UserError):
    """A training cannot go on: it diverged, its worker failed, or what it needs was changed."""

    exit_code = 1


@contextlib.contextmanager
def remedy(what_to_do: str) -> Iterator[None]:
    """Say in each DataError of the block what to do about it, unless it says so already.

    Who reads a file knows what is wrong with it; who asked for it knows how to make it anew.
    """
    try:
        yield
    except DataError as error:
        if error.remedied:
            raise
        raise type(error)(f"{error}; {what_to_do}", remedied=True) from None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message without secrets, or the name of its class."""
    lines = without_secrets(str(error)).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


# A password may hold any of :, /, ?, ' and @. What has no : before the first / is a token up to
# there: `://host/folder@version` is no secret.
CREDENTIALS = re.compile(r"""(?<=://)(?:[^\s"<>/:]*:[^\s"<>]*|[^\s"<>/]+)@""")
SECRET_VALUE = re.compile(
    r"""([?&#][\w.-]*(?:token|secret|pass|pwd|key|sig|auth|cred)[\w.-]*=)[^\s"'<>&#]+""",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """Return a text whose addresses show no user, password or token."""
    return SECRET_VALUE.sub(r"\1***", CREDENTIALS.sub("***@", text))


WAYS_OUT = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.EACCES: "make it writable and readable for this user",
    errno.EPERM: "make it writable and readable for this user",
    errno.EROFS: "work in a folder that can be written",
    errno.EMFILE: "close some programs, or raise the limit (ulimit -n)",
    errno.ENFILE: "close some programs, or raise the limit (ulimit -n)",
    errno.EIO: "check the disk",
}


# As PyTorch says it, and the libraries of a GPU.
MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
GPU = ("CUDA error", "cuDNN error", "CUBLAS_STATUS")
OF_RUST = re.compile(r"\(os error (\d+)\)")  # how safetensors tells what the system told it


def out_of_memory(error: BaseException) -> str | None:
    """Return what to do where there is not enough memory, None where that is not the error."""
    of_torch = isinstance(error, RuntimeError) and any(words in str(error) for words in MEMORY)
    if of_torch or isinstance(error, MemoryError):
        return "not enough memory; lower batch_size, hidden_size or compute.workers"
    return None


def system_fault(error: BaseException) -> str | None:
    """Return what happened and what to do where the machine is at fault, None where it is not."""
    message = str(error)
    of_torch = isinstance(error, RuntimeError)
    if fault := out_of_memory(error):
        return fault
    if of_torch and any(words in message for words in GPU):
        return f"the GPU failed ({first_line(error)}); run it again, or with device: cpu"
    if type(error).__name__ == "SafetensorError" and (number := OF_RUST.search(message)):
        error = OSError(int(number[1]), os.strerror(int(number[1])))
    if not isinstance(error, OSError) or error.errno is None:
        return None
    place = f": {error.filename}" if error.filename else ""
    way_out = WAYS_OUT.get(error.errno, "see to it")
    return (
        f"{error.strerror or first_line(error)}{place}; {way_out}, and run the same command again "
        "(files are written whole or not at all, and a training goes on from its checkpoint)"
    )
