"""How training is going, on the screen: bars in a terminal, plain lines elsewhere."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from unroll.kinds import kind_of
from unroll.training.loop import Epoch, Resumed, Step
from unroll.training.run import Job
from unroll.training.workers import Progress as Message


class Bars:
    """One bar per seed; for terminals."""

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self.tasks: dict[int, TaskID] = {
            job.seed: self.progress.add_task(
                f"{job.subject.variant} seed {job.seed}",
                total=job.subject.options.epochs,
                status="waiting",
                start=False,
            )
            for job in jobs
        }
        self.progress.start()

    def __call__(self, job: Job, message: Message) -> None:
        """Show a message of a run."""
        task = self.tasks[job.seed]
        if not self.progress.tasks[task].started:
            self.progress.start_task(task)
        if isinstance(message, Resumed):
            last = len(message.epochs)
            self.progress.update(task, completed=last, status=f"goes on after epoch {last}")
        elif isinstance(message, Step):
            done = message.epoch - 1 + message.step / message.steps
            status = f"epoch {message.epoch}/{job.subject.options.epochs}  loss {message.loss:.4f}"
            self.progress.update(task, completed=done, status=status)
        elif isinstance(message, Epoch):
            status = f"epoch {message.epoch}/{job.subject.options.epochs}  {_metrics(job, message)}"
            self.progress.update(task, completed=message.epoch, status=status)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self.progress.stop()


class Lines:
    """One line per epoch; for logs and pipes.

    The time left is that of the line's seed, by its last epoch: a mean would remember for long that
    the machine was asleep, or busy.
    """

    def __call__(self, job: Job, message: Message) -> None:
        """Print a message of a run."""
        if isinstance(message, Resumed):
            self._resume(job, message)
        if not isinstance(message, Epoch):
            return
        epochs = job.subject.options.epochs
        seconds = message.stacked * (message.train_seconds + message.valid_seconds)
        left = round(seconds * (epochs - message.epoch))
        print(
            f"{job.subject.variant} seed {job.seed}  epoch {message.epoch}/{epochs}  "
            f"{_metrics(job, message)}  {seconds:.1f} s/epoch  left {left // 60}:{left % 60:02d}",
            flush=True,
        )

    def _resume(self, job: Job, message: Resumed) -> None:
        print(
            f"{job.subject.variant} seed {job.seed}  goes on from its checkpoint: after epoch "
            f"{len(message.epochs)}/{job.subject.options.epochs}, step {message.step} of the next",
            flush=True,
        )

    def close(self) -> None:
        """Nothing to put back."""


def display(jobs: Sequence[Job]) -> Bars | Lines:
    """Return the display that fits where the output goes."""
    console = Console()
    return Bars(jobs, console) if moves(console) else Lines()


def moves(console: Console) -> bool:
    """Say whether what is shown can be taken back.

    A terminal that cannot move its cursor, or a file with FORCE_COLOR set, is none for bars.
    """
    return sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal


def _metrics(job: Job, epoch: Epoch) -> str:
    """Return the loss, and the score by which runs are chosen."""
    kind = kind_of(job.subject.options)
    shown = kind.main.show(epoch.metrics[kind.choosing])
    return f"loss {epoch.metrics['train_loss']:.4f}  {kind.main.title} {shown}"
