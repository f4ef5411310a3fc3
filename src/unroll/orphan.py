"""A stage does not outlive the `dvc` that has started it."""

import os
import signal
import threading
import time

SECONDS = 0.5  # between two looks


def end_with_dvc() -> None:
    """Ask this process to end, as Ctrl-C does, when the DVC that has started it is gone.

    DVC passes Ctrl-C on, but where it is killed its stage would train on, unseen, beside the next
    `dvc repro`. A command that was typed by hand goes on without its terminal, as is usual.
    """
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
