"""Tracking while training runs, in a thread: MLflow never holds up training."""

import functools
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from unroll.errors import first_line
from unroll.runs.recorder import Recorder
from unroll.runs.subject import Subject
from unroll.study import Study
from unroll.tracking.address import shown_uri
from unroll.tracking.state import Point, epoch_points, opening
from unroll.training.loop import Epoch, Resumed
from unroll.training.run import Job
from unroll.training.workers import Progress

if TYPE_CHECKING:
    from mlflow import MlflowClient

PATIENCE = 20.0  # seconds that the end of a training waits for MLflow
PATIENCE_AFTER_FAILURE = 1.0


class LiveTracking:
    """A listener that logs every epoch of every seed as it ends.

    A thread does the work, one task after another; MLflow is imported there, while the
    workers train. Where MLflow fails, one warning is printed and nothing more is sent:
    `unroll track` adds later what is missing.
    """

    def __init__(
        self, study: Study, subject: Subject, recorder: Recorder, seeds: Sequence[int]
    ) -> None:
        self.study, self.subject, self.recorder = study, subject, recorder
        self.seeds = seeds  # those that are trained now
        self.runs: dict[int | None, str] = {}  # ids: of each seed, and (None) of the parent
        self.client: MlflowClient
        self.tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.tasks.put(self._open)
        self.thread.start()

    def __call__(self, job: Job, message: Progress) -> None:
        """Send an epoch on its way; all of them where a training goes on."""
        if isinstance(message, Resumed):
            epochs = message.epochs
        else:
            epochs = (message,) if isinstance(message, Epoch) else ()
        timings = self.recorder.timings(job.seed, epochs)
        for epoch, timing in zip(epochs, timings, strict=True):
            points = epoch_points(epoch.metrics, timing)
            self.tasks.put(functools.partial(self._log, job.seed, points))

    def finish(self) -> None:
        """Complete the runs from what training has left on disk."""
        self._end(self._complete, PATIENCE)

    def fail(self) -> None:
        """Mark the runs as failed: there is nothing on disk to complete them from."""
        self._end(self._mark_failed, PATIENCE_AFTER_FAILURE)

    def _end(self, last: Callable[[], None], patience: float) -> None:
        self.tasks.put(last)
        self.tasks.put(None)
        self.thread.join(patience)
        if self.thread.is_alive():
            _warn(f"is slow: not all was written after {patience:.0f} s")

    def _work(self) -> None:
        while (task := self.tasks.get()) is not None:
            try:
                task()
            except Exception as error:  # whatever the server, its database or the network does
                _warn(f"could not be written ({first_line(error)})")
                return

    def _open(self) -> None:
        from unroll.tracking.runs import start
        from unroll.tracking.store import connect
        from unroll.tracking.sync import Sync

        self.client = connect()
        state = opening(self.subject, self.recorder.source, self.seeds)
        experiment = Sync(self.client, self.study).experiment(self.subject.options.task)
        parent = start(self.client, experiment, state.parent, None)
        self.runs[None] = parent
        for seed, child in state.children.items():
            self.runs[seed] = start(self.client, experiment, child, parent)

    def _log(self, seed: int, points: Sequence[Point]) -> None:
        from unroll.tracking.runs import log_points

        log_points(self.client, self.runs[seed], points)

    def _complete(self) -> None:
        from unroll.tracking.sync import Sync

        Sync(self.client, self.study).variant(self.subject.variant, self.seeds)

    def _mark_failed(self) -> None:
        for run in self.runs.values():
            if self.client.get_run(run).info.status == "RUNNING":
                self.client.set_terminated(run, "FAILED")


def _warn(what: str) -> None:
    print(
        f"warning: MLflow at {shown_uri()} {what}; training does not wait for it, "
        "and `unroll track` adds later what is missing",
        file=sys.stderr,
        flush=True,
    )
