"""The seeds of a variant side by side, each in a process of its own.

Small recurrent nets gain nothing from a second thread, so the cores are filled with
seeds (executors.py has other ways). Workers compute and send messages; the parent alone shows
progress and tracks.
"""

import atexit
import contextlib
import gc
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import torch

from unroll.errors import TrainingError, UserError, system_fault
from unroll.training.checkpoint import Checkpoint
from unroll.training.executors import Executor, Team, Worker
from unroll.training.interruption import Interrupted, Interruption
from unroll.training.loop import Epoch, Resumed, Step
from unroll.training.run import Job, run

GRACE = 3.0  # seconds in which a run that is asked to end may write its checkpoint

SPAWN = multiprocessing.get_context("spawn")

# glibc gives large blocks back to the system and fetches them anew at every step, page by
# page. Told to keep them, a step of a language model takes a sixth less time.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(2**33)}


@dataclass(frozen=True)
class Started:
    """The worker is there; it reads the data."""


@dataclass(frozen=True)
class Done:
    """The run is complete and its record is written."""

    peak_memory: int  # bytes, of the device where it has memory of its own
    ranks: int = 1  # processes that have shared it


@dataclass(frozen=True)
class Failed:
    """The run ended with an error that the user can mend."""

    message: str
    seed: int | None = None  # of several that are trained together, the one that is to blame


Progress = Started | Resumed | Step | Epoch | Done
Listener = Callable[[Job, Progress], None]


@dataclass(frozen=True)
class Running:
    """A worker's process, and the number of its team."""

    worker: Worker
    process: SpawnProcess
    team: int

    @property
    def jobs(self) -> Sequence[Job]:
        """The jobs that it has."""
        return self.worker.jobs


def run_all(jobs: Sequence[Job], executor: Executor, listeners: Sequence[Listener]) -> None:
    """Run all jobs, as the executor shares them out, and pass what is reported to the listeners.

    Whatever ends it early, the runs that are under way are asked to write a checkpoint first; those
    that do not within GRACE seconds a run are killed, and all at once where a second request comes.

    Raises:
        TrainingError: a run failed or its process died; the message names variant and seed.
    """
    os.environ.update({k: v for k, v in KEEP_MEMORY.items() if k not in os.environ})
    waiting = list(enumerate(executor.teams(jobs)))
    running: dict[Connection, Running] = {}
    try:
        while waiting or running:
            while waiting and len({of.team for of in running.values()}) < executor.at_once:
                running.update(_start(*waiting.pop(0)))
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                of = running[ready]
                job, message = _receive(ready, of)
                for listener in listeners if of.worker.rank.number == 0 else ():
                    listener(job, message)
                if isinstance(message, Done) and job is of.jobs[-1]:
                    running.pop(ready).process.join(GRACE)
    finally:
        _end(GRACE * max((len(of.jobs) for of in running.values()), default=1))


def _end(grace: float) -> None:
    """Ask all workers to end; kill those that have not after so many seconds."""
    processes = multiprocessing.active_children()
    try:
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + grace
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
    finally:
        for process in processes:
            process.kill()
            process.join()


def _start(number: int, team: Team) -> dict[Connection, Running]:
    """Start the processes of a team."""
    begun: dict[Connection, Running] = {}
    for worker in team:
        receiver, sender = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(target=_work, args=(worker, sender), daemon=True)
        with _ignored():
            process.start()
        sender.close()  # so that the receiver sees the end when the worker dies
        begun[receiver] = Running(worker, process, number)
    return begun


@contextlib.contextmanager
def _ignored() -> Iterator[None]:
    """Let processes that are started within the block ignore what a terminal sends to all.

    Ctrl-C is for the parent alone, which passes it on; a worker would else be broken off at once
    while it imports what it needs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _receive(connection: Connection, running: Running) -> tuple[Job, Progress]:
    try:
        message: tuple[int, Progress] | Failed = connection.recv()
    except (EOFError, OSError):  # it may end in the middle of a message
        running.process.join()
        message = Failed(f"the worker died ({_cause(running.process.exitcode)})")
    if isinstance(message, Failed):
        raise _failure(running.jobs, message)
    number, progress = message
    return running.jobs[number], progress


def _failure(jobs: Sequence[Job], failed: Failed) -> TrainingError:
    """Return the error to raise where seeds have failed; it names the one that is to blame."""
    blamed = [job for job in jobs if failed.seed in (None, job.seed)]
    variant, seeds = blamed[0].subject.variant, ", ".join(str(job.seed) for job in blamed)
    of = "seed" if len(blamed) == 1 else "seeds"
    kept = "".join(_kept(job.checkpoint, failed) for job in blamed)
    return TrainingError(f"{variant}, {of} {seeds}: {failed.message}{kept}")


def _kept(checkpoint: Checkpoint, failed: Failed) -> str:
    """Say what is left of a run that failed, unless it is what it failed by."""
    if not checkpoint.path.exists() or str(checkpoint.path) in failed.message:
        return ""
    return f". Its last good checkpoint is kept: {checkpoint.path}"


def _cause(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        names = {one.value: one.name for one in signal.Signals}  # not all that there are
        hint = "; was there enough memory?" if -exit_code == signal.SIGKILL else ""
        return f"signal {names.get(-exit_code, -exit_code)}{hint}"
    return f"exit code {exit_code}"


def _work(worker: Worker, sender: Connection) -> None:
    """Do what a worker process is to do, and report to the parent."""
    atexit.register(gc.freeze)  # as in cli.py
    jobs, interruption = worker.jobs, worker.rank.interruption()
    interruption.listen()
    threading.Thread(target=_end_with_parent, args=(len(jobs),), daemon=True).start()

    def send(message: object) -> None:
        try:
            sender.send(message)
        except OSError:  # the parent is gone
            raise Interrupted from None

    def report(number: int, message: Progress) -> None:
        send((number, message))

    reports = [partial(report, number) for number in range(len(jobs))]
    with contextlib.suppress(Interrupted):  # where nobody is left to be told
        if failed := _failed(worker, reports, interruption):
            send(failed)


def _failed(
    worker: Worker,
    reports: Sequence[Callable[[Progress], None]],
    interruption: Interruption,
) -> Failed | None:
    """Run the jobs of a worker; return how they failed, if they did."""
    device = worker.jobs[0].machine.device
    try:
        with worker.rank.joined(device):
            with interruption.anywhere():
                for report in reports:
                    report(Started())
            run(worker.jobs, reports, interruption, worker.rank)
            for report in reports:
                report(Done(peak_memory(device), worker.rank.of))
    except Interrupted:
        return Failed("it was asked to end (signal SIGTERM)")
    except UserError as error:
        return Failed(str(error), error.seed)
    except Exception as error:
        message = system_fault(error)
        if message is None:
            raise
        return Failed(message)
    return None


def peak_memory(device: str) -> int:
    """Return the most bytes that this process has held: on the GPU, or in main memory."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _end_with_parent(runs: int) -> None:
    """Leave a checkpoint when the parent is gone, however it went, and end in any case."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE * runs)
    os._exit(1)
