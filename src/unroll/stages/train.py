"""Stage train: all seeds of a variant, side by side."""

import contextlib
import shutil
import sys
from collections.abc import Sequence

from unroll.errors import DataError, TrainingError
from unroll.runs.circumstances import circumstances_of
from unroll.runs.model import rewrite_subject
from unroll.runs.record import read_record, seed_folder
from unroll.runs.recorder import Recorder
from unroll.runs.snapshot import KEEP, refusal
from unroll.runs.subject import Subject
from unroll.stages.checkpoints import held
from unroll.stages.earlier import bring_back
from unroll.stages.plan import planned
from unroll.stages.size import sized
from unroll.storage.files import read_json, sweep
from unroll.storage.folders import MANIFEST, digest
from unroll.study import Study
from unroll.tracking.live import LiveTracking
from unroll.training.checkpoint import Checkpoint
from unroll.training.executors import executor_of
from unroll.training.machine import choose
from unroll.training.progress import display
from unroll.training.ranks import announce, announced, by_torchrun, follows
from unroll.training.run import Job
from unroll.training.sources import sources_digest
from unroll.training.workers import run_all


def train(study: Study, variant: str, again: bool = False) -> None:
    """Train a variant; write a run record per seed, and apart what differs each time.

    Seeds that were trained already, with the same key, are kept, unless all are asked for `again`.

    Raises:
        UserError: another process trains the same variant.
    """
    jobs = jobs_of(study, variant)
    if follows():
        _follow(study, jobs)
        return
    bring_back(study, variant)
    with held(study, variant):
        kept = [] if again else [job for job in jobs if _is_trained(study, variant, job)]
        _train(study, variant, jobs, kept)


def _train(study: Study, variant: str, jobs: Sequence[Job], kept: Sequence[Job]) -> None:
    left = [job for job in jobs if job not in kept]
    if by_torchrun():
        announce([job.seed for job in left])
    for job in kept:
        print(f"{variant} seed {job.seed}: kept, it was trained already", flush=True)
        rewrite_subject(job.target, job.subject)
    if left:
        _train_seeds(study, variant, left)
    for folder in (study.model(variant), study.circumstances(variant)):
        wanted = {seed_folder(folder, job.seed) for job in jobs}
        for seed in wanted:  # DVC would take over what was left beside one that is kept
            sweep(seed)
        for other in folder.glob("seed-*"):  # of seeds that are no longer asked for
            if other not in wanted:
                shutil.rmtree(other)


def _follow(study: Study, jobs: Sequence[Job]) -> None:
    """Share the seeds that the first rank of torchrun trains; it alone writes and tracks."""
    seeds = announced()
    shared = [job for job in jobs if job.seed in seeds]
    run_all(shared, executor_of(study.compute, shared), [])


def _train_seeds(study: Study, variant: str, jobs: Sequence[Job]) -> None:
    executor, machine = executor_of(study.compute, jobs), jobs[0].machine
    print(
        f"{variant}: {len(jobs)} seeds, {executor}, on {machine.device} in {machine.precision}",
        flush=True,
    )
    for path in (path for job in jobs for path in job.checkpoint.others()):
        print(f"not used: {path} (a checkpoint of another behaviour or other data)", flush=True)
    command, sources = study.command("train", variant), jobs[0].sources
    recorder = Recorder(command, sources, study.circumstances(variant))
    if recorder.source.commit is None and (why := refusal()):
        print(f"warning: the runs will have no commit, for git says: {why}", file=sys.stderr)
    if recorder.diff:
        print(
            f"uncommitted changes are kept with the runs, for all who can read these; {KEEP}=no "
            "leaves them out",
            flush=True,
        )
    tracking = LiveTracking(study, jobs[0].subject, recorder, [job.seed for job in jobs])
    try:
        with contextlib.closing(display(jobs)) as shown:
            run_all(jobs, executor, [shown, recorder, tracking])
        _check_records(jobs)
    except BaseException:
        tracking.fail()
        raise
    tracking.finish()


def _is_trained(study: Study, variant: str, job: Job) -> bool:
    """Say whether a seed has left record and circumstances, with the key that it has now."""
    try:
        record = read_record(job.target)
        circumstances_of(study.circumstances(variant), [record])
    except (DataError, OSError):
        return False
    return record.key == job.subject.key(job.seed)


def _check_records(jobs: Sequence[Job]) -> None:
    """Check that each run has left its record: somebody may have removed it.

    Raises:
        TrainingError: one is gone; its checkpoint is still there.
    """
    for job in jobs:
        if not (job.target / MANIFEST).is_file():
            raise TrainingError(f"{job.target} was removed meanwhile; run the same command again")


def jobs_of(study: Study, variant: str) -> list[Job]:
    """Return a job for each seed of a variant.

    Raises:
        DataError: the task's data are not prepared, the variant's size is not known yet, or its
            plan is of other sources than those that run.
    """
    options, task = sized(study, variant), study.variant(variant).task
    prepared, again = study.prepared(task), study.rerun(f"prepare@{task}")
    if not (prepared / MANIFEST).is_file():
        raise DataError(f"{prepared} does not exist; {again}")
    machine, plan, sources = choose(study.compute), planned(study, variant), sources_digest()
    with study.remedy("plan"):
        if read_json(study.sources).get("sha256") != sources:
            raise DataError("the sources in src/unroll were changed since the plans were made")
    subject = Subject(study.name, variant, options, digest(prepared), plan, machine.facts())

    def job(seed: int) -> Job:
        every, key = study.checkpoint.every, subject.key(seed)
        checkpoint = Checkpoint(study.checkpoints(variant), seed, key, every, sources)
        target = seed_folder(study.model(variant), seed)
        found = study.task_of(variant)
        return Job(subject, seed, found, machine, prepared, target, checkpoint, sources, again)

    return [job(seed) for seed in options.seeds]
