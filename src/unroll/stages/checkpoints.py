"""The checkpoints of a variant, until DVC has taken over what its training has left."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from unroll.errors import UserError
from unroll.runs.record import Record
from unroll.study import Study
from unroll.training.checkpoint import Checkpoint


@contextlib.contextmanager
def held(study: Study, variant: str) -> Iterator[None]:
    """Keep the checkpoints of a variant to this process; leave no folder without one.

    Raises:
        UserError: another process trains the variant.
    """
    folder = study.checkpoints(variant)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            try:
                yield
            finally:
                _tidy(folder)
    except Timeout:
        raise UserError(
            f"another process is training {variant} (it holds {folder / 'lock'}); wait for it"
        ) from None


def forget(study: Study, variant: str, records: Iterable[Record]) -> None:
    """Remove the checkpoints of runs that have left their records, once DVC has these.

    The stage that comes after the training does so, where DVC has started it, and neither the
    training itself nor a command typed by hand: of a stage that is broken off, also while DVC
    notes its outputs, DVC keeps nothing.
    """
    folder = study.checkpoints(variant)
    if not folder.is_dir() or "DVC_STAGE" not in os.environ:
        return
    with contextlib.suppress(UserError), held(study, variant):  # a later training needs its own
        for record in records:
            Checkpoint(folder, record.seed, record.key, every=None).remove()


def _tidy(folder: Path) -> None:
    if not any(folder.glob("*.safetensors")):
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # other variants have theirs
            folder.parent.rmdir()
