"""A stage does not outlive the `dvc` that has started it."""

import os
import signal
import threading
import time

SECONDS = 0.5  # between two looks
PATIENCE = 15.0  # seconds in which a stage that was asked to end must have ended
SHELLS = ("sh", "bash", "dash", "zsh", "fish", "ksh")

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

    # Some shells stay between DVC and the command that they run.
    ancestors = (p for p in psutil.Process().parents() if p.name() not in SHELLS)
    dvc = next(ancestors, None)
    while dvc is not None and dvc.is_running() and dvc.status() != psutil.STATUS_ZOMBIE:
        time.sleep(SECONDS)
    if not ASKED.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)
