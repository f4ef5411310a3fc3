"""A stage does not outlive the `dvc` that has started it."""

import contextlib
import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

SECONDS = 0.5  # between two looks
PATIENCE = 15.0  # seconds in which a stage that was asked to end must have ended
DVC = re.compile(r"dvc|python", re.IGNORECASE)

ASKED = threading.Event()  # this process was asked to end: a second time would break that off


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
    if not ASKED.is_set():
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
