"""Tracking while training runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.record import read_record, record_documents
from unroll.tracking.subject import Subject
from unroll.training.loop import Epoch, Step
from unroll.training.run import Job
from unroll.training.workers import Done

if TYPE_CHECKING:
    from unroll.tracking.runs import Tracker


class LiveTracking:
    """A listener that logs every epoch of every seed.

    MLflow is imported at the first message, when the workers are busy training: that takes
    seconds in which nobody has to wait.
    """

    def __init__(self, subject: Subject, facts: Mapping[str, Any]) -> None:
        self.subject, self.facts = subject, facts
        self._tracker: Tracker | None = None

    @property
    def tracker(self) -> "Tracker":
        """The runs of this variant, created at first use."""
        if self._tracker is None:
            from unroll.tracking.runs import Tracker

            self._tracker = Tracker(self.subject, self.facts)
            self._tracker.start()
        return self._tracker

    def __call__(self, job: Job, message: Step | Epoch | Done) -> None:
        """Log an epoch; the end of a run closes it."""
        if isinstance(message, Epoch):
            seconds = message.train_seconds + message.valid_seconds
            self.tracker.epoch(job.seed, message.metrics, seconds)
        elif isinstance(message, Done):
            self.tracker.finish_seed(job.seed, record_documents(job.target))
        else:
            self.tracker  # noqa: B018  the runs appear as soon as training goes

    def finish(self, folders: Mapping[int, Path], remedy: str) -> None:
        """Close the parent run, with the means of its seeds."""
        self.tracker.finish({s: read_record(f, remedy).history for s, f in folders.items()})
