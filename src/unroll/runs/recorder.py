"""Notes the circumstances of a training while it runs."""

import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from unroll.runs.circumstances import EpochTiming, Session, write_circumstances
from unroll.runs.record import seed_folder
from unroll.runs.snapshot import look
from unroll.training.loop import Epoch, Resumed
from unroll.training.run import Job
from unroll.training.workers import Done, Progress, Started

MEGABYTE = 1e6


class Recorder:
    """A listener that notes the circumstances of each seed, and writes them when it is done."""

    def __init__(self, command: str, sources: str, folder: Path) -> None:
        self.source, self.diff = look(command, sources)
        self.folder = folder  # of the variant's circumstances
        self.epochs: dict[int, dict[int, EpochTiming]] = {}  # by seed and epoch
        self.started: dict[int, float] = {}
        self.stacked: dict[int, int] = {}  # of each seed, how many were one program at its end
        self.earlier: dict[int, list[str]] = {}  # sources by which a seed was trained before
        psutil.cpu_percent()  # it counts from call to call

    def __call__(self, job: Job, message: Progress) -> None:
        """Note a message of a run."""
        now = round(time.time(), 3)
        if isinstance(message, Started):
            self.started[job.seed] = now
        elif isinstance(message, Resumed):
            self.earlier[job.seed] = [s for s in message.sources if s not in self.source.sources]
            self.timings(job.seed, message.epochs)
        elif isinstance(message, Epoch):
            self.stacked[job.seed] = message.stacked
            self.timings(job.seed, [message])
        elif isinstance(message, Done):
            self._write(job, now, message)

    def timings(self, seed: int, epochs: Iterable[Epoch]) -> list[EpochTiming]:
        """Return the timings of epochs, noted when they are first asked for."""
        noted = self.epochs.setdefault(seed, {})
        wanted = list(epochs)
        if any(epoch.epoch not in noted for epoch in wanted):
            load = psutil.cpu_percent(), round(psutil.virtual_memory().used / MEGABYTE, 1)
            for epoch in wanted:
                seconds = round(epoch.train_seconds, 3), round(epoch.valid_seconds, 3)
                timing = EpochTiming(epoch.epoch, round(epoch.ended, 3), *seconds, *load)
                noted.setdefault(epoch.epoch, timing)
        return [noted[epoch.epoch] for epoch in wanted]

    def _write(self, job: Job, now: float, done: Done) -> None:
        sources = [*self.earlier.get(job.seed, []), *self.source.sources]
        session = Session(
            started=self.started[job.seed],
            ended=now,
            peak_memory_mb=round(done.peak_memory / MEGABYTE, 1),
            source=self.source.model_copy(update={"sources": sources}),
            stacked=self.stacked.get(job.seed, 1),
            ranks=done.ranks,
        )
        rows = self.epochs[job.seed].values()
        write_circumstances(seed_folder(self.folder, job.seed), rows, session, self.diff)
