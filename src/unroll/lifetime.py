"""How a command begins and ends: with what it stands on, and with the `dvc` that has started it."""

import atexit
import codecs
import contextlib
import io
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

SECONDS = 0.5  # between two looks
PATIENCE = 15.0  # seconds in which a stage that was asked to end must have ended
DVC = re.compile(r"dvc|python", re.IGNORECASE)

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # that ask a program to end; not every system has all
TELL = sys.unraisablehook  # what is told where Python cannot raise
AGAIN = 0.1  # seconds after which a signal is sent again that was lost

LIKEST = "likest"  # the name of what writes symbols that an encoding does not have
IN_ASCII = {"−": "-", "–": "-", "±": "+-", "×": "x", "→": "->", "’": "'", "“": '"', "”": '"',
            "☑": "+", "☒": "-", "…": "..."}  # fmt: skip

ASKED: list[int] = []  # signals by which this process was asked to end


def settle() -> None:
    """Make what is around a command do for it: a home folder, and any encoding of the output."""
    try:
        Path.home()
    except RuntimeError:  # a user that the system does not know, as in a container
        home = tempfile.mkdtemp(prefix="unroll-home-")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        os.environ["HOME"] = home
    codecs.register_error(LIKEST, _likest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=LIKEST)


def _likest(error: UnicodeError) -> tuple[str, int]:
    """Return what is likest to symbols that the encoding of a terminal or a file does not have."""
    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end]
    return "".join(IN_ASCII.get(symbol, "?") for symbol in lost), error.end


def listen() -> None:
    """End as at Ctrl-C also when another program asks for it, or when the terminal is closed."""
    for number in _numbers():
        signal.signal(number, _interrupt)
    sys.unraisablehook = _ask_again


def _numbers() -> list[int]:
    """Return the signals that ask this process to end, but for those that it is to ignore."""
    known = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    return [number for number in known if signal.getsignal(number) != signal.SIG_IGN]  # as nohup


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let what asks this process to end be heard behind the block; the second time, at once.

    For what must not be left in its middle, as a transaction of a database that others wait for.
    """
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        if heard:
            _interrupt(number, frame)
        heard.append(number)

    before = {number: signal.signal(number, hear) for number in _numbers()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if heard:
            signal.raise_signal(heard[0])


def number_of(interrupt: BaseException) -> int | None:
    """Return the number of the signal that has ended a command; None where it was an error.

    What is compiled may make an error of its own of the interrupt by which it was ended.
    """
    if isinstance(interrupt, KeyboardInterrupt):
        return interrupt.args[0] if interrupt.args else signal.SIGINT
    return ASKED[0] if ASKED else None


def _interrupt(number: int, frame: FrameType | None) -> None:
    ASKED.append(number)
    raise KeyboardInterrupt(number)


def _ask_again(lost: "sys.UnraisableHookArgs") -> None:
    """Send a signal again that came while Python could not raise: in a destructor, say."""
    if isinstance(lost.exc_value, KeyboardInterrupt) and (number := number_of(lost.exc_value)):
        threading.Timer(AGAIN, os.kill, (os.getpid(), number)).start()
    else:
        TELL(lost)


def end_with_dvc() -> None:
    """Ask this process to end, as Ctrl-C does, when the DVC that has started it is gone.

    Ctrl-C in a terminal reaches both. Where DVC alone is killed its stage would train on, unseen,
    beside the next `dvc repro`. A command that was typed by hand has no DVC to end with.
    """
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):  # while it was looked at
        dvc = next(filter(_runs_dvc, psutil.Process().parents()), None)
        while dvc is not None and dvc.is_running() and dvc.status() != psutil.STATUS_ZOMBIE:
            time.sleep(SECONDS)
    if not ASKED:  # a second time would break the end off
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)


def _runs_dvc(ancestor: "psutil.Process") -> bool:
    """Say whether an ancestor can be DVC, or a program that calls it: they run in Python.

    Not so a shell between DVC and its command, nor who adopts the children of a DVC that was
    killed before this process looked.
    """
    import psutil

    try:
        words = [ancestor.name(), *ancestor.cmdline()]
    except psutil.AccessDenied:  # of another user
        return False
    return any(DVC.search(Path(word).name) for word in words[:3])
