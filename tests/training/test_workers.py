import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pandas as pd
import pytest
import torch

from models.toys import CPU, FORM, save_toy_pairs
from training.jobs import ENDLESS, job
from unroll.data.pairs import load_pairs
from unroll.errors import TrainingError
from unroll.kinds import kind_of
from unroll.models.initialise import initialise
from unroll.runs.model import read_model
from unroll.storage.folders import digest
from unroll.training.executors import Processes, Stacked, Worker
from unroll.training.interruption import Interruption
from unroll.training.loop import Epoch, Seat, Step, train
from unroll.training.optimisation import Optimisation
from unroll.training.pairs import PairsObjective
from unroll.training.ranks import Alone
from unroll.training.run import Job, run
from unroll.training.workers import (
    Done,
    Failed,
    Progress,
    Started,
    _cause,
    _failed,
    run_all,
)


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    return save_toy_pairs(tmp_path / "prepared")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_draws_weights_order_and_dropout_by_its_seed(tmp_path, prepared):
    strict = torch.are_deterministic_algorithms_enabled()
    task = job(5, prepared, tmp_path / "seed-5", dropout=0.5)
    run([task], [lambda message: None])
    torch.use_deterministic_algorithms(strict)
    options, data = task.subject.options, load_pairs(prepared)
    model = kind_of(options).build(options, FORM)
    initialise(model, "book", 5)
    history = train(PairsObjective(model, data, options, 5, CPU), options, lambda _: None)
    written = read_model(tmp_path / "seed-5")
    record, found = written.record, written.model
    assert written.form == FORM
    assert record.history.to_dict("records") == history
    assert record.subject.data_digest == digest(prepared)
    weights = found.state_dict()
    assert all(torch.equal(weights[name], p) for name, p in model.state_dict().items())


@pytest.mark.slow
def test_runs_side_by_side_leave_the_bits_of_runs_one_after_another(tmp_path, prepared):
    strict = torch.are_deterministic_algorithms_enabled()
    messages: dict[int, list[Step | Epoch]] = {1: [], 2: []}
    for seed in messages:
        run([job(seed, prepared, tmp_path / "alone" / f"seed-{seed}")], [messages[seed].append])
    torch.use_deterministic_algorithms(strict)
    jobs = [job(seed, prepared, tmp_path / "beside" / f"seed-{seed}") for seed in (1, 2)]
    heard: dict[int, list[Progress]] = {1: [], 2: []}
    run_all(jobs, Processes(2), [lambda job, message: heard[job.seed].append(message)])
    for seed in (1, 2):
        alone = files(tmp_path / "alone" / f"seed-{seed}")
        assert len(alone) == 6
        assert files(tmp_path / "beside" / f"seed-{seed}") == alone
        epochs = [message for message in heard[seed] if isinstance(message, Epoch)]
        assert [e.metrics for e in epochs] == [
            e.metrics for e in messages[seed] if isinstance(e, Epoch)
        ]
        assert heard[seed][0] == Started()
        assert isinstance(heard[seed][-1], Done)
        assert 1e7 < heard[seed][-1].peak_memory < 1e11
    assert files(tmp_path / "alone" / "seed-1") != files(tmp_path / "alone" / "seed-2")


@pytest.mark.slow
def test_runs_in_one_process_leave_and_report_what_they_do_each_in_its_own(tmp_path, prepared):
    heard: dict[str, dict[int, list[Progress]]] = {"apart": {}, "together": {}}
    for name, executor in (("apart", Processes(2)), ("together", Stacked(1))):
        jobs = [job(seed, prepared, tmp_path / name / f"seed-{seed}") for seed in (1, 2, 3)]
        heard[name] = {one.seed: [] for one in jobs}
        hear = [lambda of, said, name=name: heard[name][of.seed].append(said)]
        run_all(jobs, executor, hear)
    for seed in (1, 2, 3):
        one, other = (read_model(tmp_path / name / f"seed-{seed}") for name in heard)
        assert one.record.subject == other.record.subject
        pd.testing.assert_frame_equal(one.record.history, other.record.history, rtol=1e-4)
        torch.testing.assert_close(
            other.model.state_dict(), one.model.state_dict(), rtol=1e-3, atol=1e-5
        )
        kinds = [[type(said) for said in heard[name][seed]] for name in heard]
        assert kinds[0] == kinds[1]
        assert kinds[1][0] is Started and kinds[1][-1] is Done
        stacks = [
            {said.stacked for said in of[seed] if isinstance(said, Epoch)} for of in heard.values()
        ]
        assert stacks == [{1}, {3}]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_seeds_that_the_memory_of_a_gpu_cannot_hold_at_once_are_trained_in_halves(
    error, tmp_path, prepared, monkeypatch
):
    train, tried = Alone.train, []

    def full(rank: Alone, seats: Sequence[Seat], interruption: Interruption) -> None:
        tried.append(len(seats))
        if len(seats) > most:
            raise error  # here: there is no such card
        train(rank, seats, interruption)

    most = 2
    monkeypatch.setattr(Alone, "train", full)
    strict = torch.are_deterministic_algorithms_enabled()
    jobs = [job(seed, prepared, tmp_path / f"seed-{seed}") for seed in range(5)]
    run(jobs, [lambda message: None for _ in jobs])
    torch.use_deterministic_algorithms(strict)
    assert tried == [5, 2, 3, 1, 2]
    assert all((tmp_path / f"seed-{seed}" / "run.json").exists() for seed in range(5))
    most = 0
    with pytest.raises(type(error)):
        run(jobs[:1], [lambda message: None])


@pytest.mark.slow
def test_of_runs_in_one_process_the_one_that_fails_is_named(tmp_path, prepared):
    jobs = [job(seed, prepared, tmp_path / f"seed-{seed}") for seed in (3, 4)]
    jobs[1].checkpoint.path.parent.mkdir(parents=True)
    jobs[1].checkpoint.path.write_bytes(b"rubbish")
    with pytest.raises(TrainingError, match=r"tiny, seed 4: .*seed-4.* cannot be used"):
        run_all(jobs, Stacked(1), [])


@pytest.mark.slow
def test_a_failure_names_variant_and_seed_and_ends_the_other_runs(tmp_path, prepared):
    damaged = save_toy_pairs(tmp_path / "damaged")
    (damaged / "train.source.npy").write_bytes(b"rubbish")
    jobs = [
        job(3, prepared, tmp_path / "models" / "seed-3", **ENDLESS),
        job(4, damaged, tmp_path / "models" / "seed-4"),
    ]
    with pytest.raises(TrainingError, match=r"tiny, seed 4: .*damaged.*run: dvc repro prepare@toy"):
        run_all(jobs, Processes(2), [])
    assert not (tmp_path / "models").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "told"),
    [(signal.SIGKILL, "the worker died (signal SIGKILL"), (signal.SIGTERM, "it was asked to end")],
)
def test_a_worker_that_dies_is_named_with_what_is_kept_and_the_others_keep_theirs(
    tmp_path, prepared, number, told
):
    jobs = [job(seed, prepared, tmp_path / f"seed-{seed}", **ENDLESS) for seed in (3, 4)]
    trained = set()

    def kill(job: Job, message: Progress) -> None:
        trained.add(job.seed if isinstance(message, Epoch) else None)
        if {3, 4} <= trained and not killed:
            killed.append(sorted(multiprocessing.active_children(), key=lambda p: p.pid)[1])
            os.kill(killed[0].pid, number)

    killed = []
    with pytest.raises(TrainingError) as caught:
        run_all(jobs, Processes(2), [kill])
    assert str(caught.value).startswith(f"tiny, seed 4: {told}")
    kept = f". Its last good checkpoint is kept: {jobs[1].checkpoint.path}"
    assert str(caught.value).endswith(kept)
    ended, died = (job.checkpoint.read().facts for job in jobs)
    assert ended["history"]
    assert died["step"] or died["history"]  # the message of an epoch is sent before it is kept


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_told_with_the_step_and_what_is_kept(tmp_path, prepared):
    wild = job(3, prepared, tmp_path / "seed-3", optimizer="sgd", learning_rate=1e38)
    wild = replace(wild, checkpoint=replace(wild.checkpoint, every=1))
    told = r"tiny, seed 3: .* became (nan|inf) in epoch 1, by step \d; lower learning_rate, .*kept"
    with pytest.raises(TrainingError, match=told):
        run_all([wild], Processes(1), [])
    assert wild.checkpoint.read().facts["step"] >= 1


def test_a_damaged_checkpoint_is_not_called_the_last_good_one(tmp_path, prepared):
    task = job(3, prepared, tmp_path / "seed-3")
    task.checkpoint.path.parent.mkdir()
    task.checkpoint.path.write_bytes(b"rubbish")
    with pytest.raises(TrainingError) as caught:
        run_all([task], Processes(1), [])
    assert str(caught.value).endswith("; delete it, and the training begins anew")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "not enough memory; lower batch_size"),
        (RuntimeError("CUDA error: an illegal access"), "the GPU failed (CUDA error"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "No space left on device: x; free"),
    ],
    ids=repr,
)
def test_a_fault_of_the_machine_in_a_step_leaves_the_checkpoint_before_it(
    tmp_path, prepared, monkeypatch, error, told
):
    task = job(3, prepared, tmp_path / "seed-3")
    step, steps = Optimisation.step, count(1)

    def fail(optimisation: Optimisation, loss: torch.Tensor, *others: object) -> None:
        if next(steps) == 5:
            raise error
        step(optimisation, loss, *others)

    monkeypatch.setattr(Optimisation, "step", fail)  # here: no fault can be had of a real machine
    result = _failed(Worker([task]), [lambda message: None], Interruption())
    assert isinstance(result, Failed)
    assert told in result.message
    facts = task.checkpoint.read().facts
    assert len(facts["history"]) * 4 + facts["step"] in (3, 4)


def test_a_run_is_refused_where_code_or_data_are_no_longer_those_of_its_name(tmp_path, prepared):
    task = job(5, prepared, tmp_path / "seed-5")
    edited = replace(task, sources="ab" * 32)
    changed = "was changed while the stage ran; run the same command again"
    with pytest.raises(TrainingError, match=f"the code in src/unroll {changed}"):
        run([edited], [lambda message: None])
    edited = replace(task, subject=replace(task.subject, data_digest="ab" * 32))
    with pytest.raises(TrainingError, match=f"prepared {changed}"):
        run([edited], [lambda message: None])
    assert not task.target.exists()


def test_what_the_system_refuses_is_told_with_variant_and_seed(tmp_path, prepared):
    (tmp_path / "file").write_text("in the way of a folder")
    told = r"tiny, seed 5: Not a directory: .*file.*run the same command again"
    with pytest.raises(TrainingError, match=told):
        run_all([job(5, prepared, tmp_path / "file" / "models" / "seed-5")], Processes(1), [])


def test_a_killed_worker_names_the_signal(tmp_path, prepared):
    def kill(job: Job, message: Progress) -> None:
        (worker,) = multiprocessing.active_children()
        os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(TrainingError, match=r"tiny, seed 6: .*\(signal SIGKILL; was there enough"):
        run_all([job(6, prepared, tmp_path / "seed-6", **ENDLESS)], Processes(1), [kill])
    assert not (tmp_path / "seed-6").exists()


def test_workers_end_with_a_listener_that_fails(tmp_path, prepared):
    def interrupt(job: Job, message: Progress) -> None:
        assert len(multiprocessing.active_children()) == 1
        raise KeyboardInterrupt

    jobs = [job(seed, prepared, tmp_path / f"seed-{seed}", **ENDLESS) for seed in (7, 8)]
    with pytest.raises(KeyboardInterrupt):
        run_all(jobs, Processes(1), [interrupt])


PARENT = """
import multiprocessing
from pathlib import Path
from training.jobs import ENDLESS, job
from unroll.training.executors import Processes
from unroll.training.workers import run_all

def tell(job, message):
    print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)

if __name__ == "__main__":
    run_all([job(9, Path("prepared"), Path("models/seed-9"), **ENDLESS)], Processes(1), [tell])
"""


def running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")")[1].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_signal_without_a_name_is_told_by_its_number():
    assert _cause(-signal.SIGRTMIN - 6) == f"signal {signal.SIGRTMIN + 6}"
    assert _cause(-signal.SIGKILL) == "signal SIGKILL; was there enough memory?"


def test_a_worker_ends_when_its_parent_is_killed(tmp_path, prepared):
    (tmp_path / "parent.py").write_text(PARENT)
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])
    parent = subprocess.Popen(
        [sys.executable, "parent.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        worker = int(parent.stdout.readline())
        assert running(worker)
        parent.kill()
    deadline = time.monotonic() + 30
    while running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(worker)
