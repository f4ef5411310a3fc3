"""Ranks that share a training leave what it leaves alone, and one of them writes."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch

from models.toys import save_toy_pairs
from mutants.variants import VARIANTS
from training.jobs import ENDLESS, job
from training.taking_part import SEED, interrupted, seat, stand_apart, take_part, toy, trained
from unroll.errors import TrainingError, UserError
from unroll.runs.model import read_model
from unroll.training.checkpoint import Checkpoint
from unroll.training.executors import Executor, Processes, Ranks
from unroll.training.loop import Epoch, Training
from unroll.training.ranks import ALONE, Rank, Share
from unroll.training.run import Job
from unroll.training.workers import SPAWN, Done, Progress, Started, run_all

SOME = ("attention-modern", "awd")  # the others in `make test-long`


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def all_ranks(of: int, names: Sequence[str], folder: Path) -> None:
    ranks = [Rank(number, of, str(folder / f"meeting-{of}")) for number in range(of)]
    processes = [SPAWN.Process(target=take_part, args=(rank, names, folder)) for rank in ranks]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * of


def assert_as_alone(names: Sequence[str], of: int, folder: Path) -> None:
    all_ranks(of, names, folder)
    for name in names:
        first, *others = (torch.load(folder / f"{name}.{number}") for number in range(of))
        alone = trained(ALONE, toy(name))
        torch.testing.assert_close(first["weights"], alone["weights"], rtol=1e-9, atol=1e-11)
        for row, expected in zip(first["history"], alone["history"], strict=True):
            assert row == pytest.approx(expected, rel=1e-9), name
        for other in others:
            assert other["history"] == first["history"], name
            for weight, same in other["weights"].items():
                assert torch.equal(first["weights"][weight], same), name


@pytest.mark.slow
def test_ranks_learn_what_one_process_learns(tmp_path):
    assert_as_alone(SOME, 2, tmp_path)


@pytest.mark.long
def test_ranks_learn_what_one_process_learns_with_every_option(tmp_path):
    assert_as_alone([name for name in VARIANTS if name not in SOME], 2, tmp_path)


@pytest.mark.long
def test_four_ranks_learn_what_one_process_learns(tmp_path):
    assert_as_alone(SOME, 4, tmp_path)


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    return save_toy_pairs(tmp_path / "prepared")


class Ears:
    """What is heard of runs; at a message that is waited for, something is done."""

    def __init__(self, at=lambda message: False, do=lambda: None) -> None:
        self.messages: list[Progress] = []
        self.at, self.do, self.done = at, do, False

    def __call__(self, job: Job, message: Progress) -> None:
        self.messages.append(message)
        if self.at(message) and not self.done:
            self.done = True
            self.do()


def in_the_second_epoch(message: Progress) -> bool:
    return isinstance(message, Epoch) and message.epoch == 2


def signalled(number: int, rank: int) -> None:
    worker = sorted(multiprocessing.active_children(), key=lambda process: process.pid)[rank]
    os.kill(worker.pid, number)


def run_by(executor: Executor, one: Job, ears: Ears | None = None) -> None:
    run_all([one], executor, [ears or Ears()])


def shared(prepared: Path, folder: Path, **changes) -> Job:
    return job(SEED, prepared, folder / f"seed-{SEED}", **{"batch_size": 8, **changes})


def assert_close(one: Path, other: Path) -> None:
    found, expected = read_model(one / f"seed-{SEED}"), read_model(other / f"seed-{SEED}")
    pd.testing.assert_frame_equal(found.record.history, expected.record.history, rtol=1e-4)
    torch.testing.assert_close(
        found.model.state_dict(), expected.model.state_dict(), rtol=1e-3, atol=1e-5
    )


@pytest.mark.slow
def test_one_rank_speaks_and_writes(tmp_path, prepared):
    ears = Ears()
    run_by(Ranks(2), shared(prepared, tmp_path / "ranks"), ears)
    run_by(Processes(1), shared(prepared, tmp_path / "alone"))
    assert_close(tmp_path / "ranks", tmp_path / "alone")
    epochs = shared(prepared, tmp_path).subject.options.epochs
    assert ears.messages[0] == Started()
    assert [m.epoch for m in ears.messages if isinstance(m, Epoch)] == list(range(1, epochs + 1))
    (done,) = (message for message in ears.messages if isinstance(message, Done))
    assert done.ranks == 2
    assert done is ears.messages[-1]


@pytest.mark.long
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_ends_the_run_which_goes_on_with_another_number(
    tmp_path, prepared, rank
):
    endless = shared(prepared, tmp_path / "ranks", **ENDLESS)
    ears = Ears(in_the_second_epoch, lambda: signalled(signal.SIGKILL, rank))
    told = r"tiny, seed 3: the worker died \(signal SIGKILL.*last good checkpoint is kept"
    with pytest.raises(TrainingError, match=told):
        run_by(Ranks(2), endless, ears)
    whole = shared(prepared, tmp_path / "whole")
    whole.checkpoint.write(endless.checkpoint.read())  # with as many epochs it would be the same
    run_by(Ranks(4), whole)
    run_by(Processes(1), shared(prepared, tmp_path / "alone"))
    assert_close(tmp_path / "whole", tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("rank", [0, 1])
def test_where_one_rank_is_asked_to_end_all_do_at_the_same_step(tmp_path, prepared, rank):
    endless = shared(prepared, tmp_path / "ranks", **ENDLESS)
    ears = Ears(in_the_second_epoch, lambda: signalled(signal.SIGTERM, rank))
    with pytest.raises(TrainingError, match=r"tiny, seed 3: it was asked to end"):
        run_by(Ranks(2), endless, ears)
    assert len(endless.checkpoint.read().facts["history"]) >= 2


@pytest.mark.long
def test_rows_that_ranks_cannot_share_alike_are_refused(tmp_path, prepared):
    with pytest.raises(
        TrainingError, match=r"batch_size: 8 rows cannot be shared alike by 3 ranks"
    ):
        run_by(Ranks(3), shared(prepared, tmp_path / "ranks"))


def test_each_rank_has_its_rows_and_streams():
    share = Share.__new__(Share)
    share.training = Training(seat(toy("words-gru")).training.objective, toy("words-gru"))
    inputs, state = torch.arange(12).view(4, 3), torch.arange(24).view(2, 4, 3)
    share.training.objective.carried = (state,)
    for number in (0, 1):
        share.rank = Rank(number, 2)
        own = share.own((inputs, None, state))
        rows = slice(2 * number, 2 * number + 2)
        assert torch.equal(own[0], inputs[rows])
        assert own[1] is None
        assert torch.equal(own[2], state[:, rows])
    share.rank = Rank(0, 3)
    with pytest.raises(UserError, match="4 rows cannot be shared alike by 3 ranks"):
        share.own((inputs, None, state))


def test_a_rank_that_is_not_the_first_writes_no_checkpoint(tmp_path):
    checkpoint = Checkpoint(tmp_path, SEED, "k" * 16, None)
    snapshot = seat(toy("plain")).snapshot()
    second = Rank(1, 2).checkpoint(checkpoint)
    second.write(snapshot)
    assert not list(tmp_path.iterdir())
    Rank(0, 2).checkpoint(checkpoint).write(snapshot)
    assert second.read().facts == snapshot.facts


@pytest.mark.slow
def test_a_request_in_a_validation_is_heard_by_all_behind_it(tmp_path):
    meeting = str(tmp_path / "meeting")
    ranks = [
        SPAWN.Process(target=interrupted, args=(Rank(number, 2, meeting), 1, tmp_path))
        for number in (0, 1)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    assert [process.exitcode for process in ranks] == [0, 0]
    assert (tmp_path / "0").exists() and (tmp_path / "1").exists()


@pytest.mark.long
def test_ranks_that_stand_apart_are_refused(tmp_path):
    meeting = str(tmp_path / "meeting")
    ranks = [
        SPAWN.Process(target=stand_apart, args=(Rank(number, 2, meeting), tmp_path))
        for number in (0, 1)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    for number in ("0", "1"):
        told = (tmp_path / number).read_text()
        assert told.startswith("the ranks do not stand at one place: epoch 1, step 0")


STUDY = """\
compute: {device: cpu, precision: float32}
tasks:
  words:
    data: {kind: text, source: grammar, sentences: 300, seed: 1}
    defaults: {seeds: [0, 1], embedding_size: 4, hidden_size: 4, epochs: 2, batch_size: 40,
               time_steps: 10, dropout: 0.2, optimizer: adam, learning_rate: 0.01}
variants:
  rnnlm: {task: words}
"""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python"]


def typed(folder: Path, *command: str) -> str:
    """Type a command in a folder without a tracking server; return what it printed."""
    env = {**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    found = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.long
def test_torchrun_starts_the_ranks(tmp_path):
    for name, how in (("alone", []), ("ranks", [*TORCHRUN, "--nproc-per-node", "2"])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "params.yaml").write_text(STUDY)
        for stage in (["plan"], ["prepare", "words"], ["size", "words"]):
            typed(tmp_path / name, "unroll", *stage)
        said = typed(tmp_path / name, *how, "unroll", "train", "rnnlm")
    assert said.count("rnnlm: 2 seeds, one after another, shared by 2 ranks of torchrun") == 1
    assert said.count("epoch 2/2") == 2
    for seed in (0, 1):
        one, other = (
            read_model(tmp_path / name / f"data/models/rnnlm/seed-{seed}")
            for name in ("alone", "ranks")
        )
        torch.testing.assert_close(
            one.model.state_dict(), other.model.state_dict(), rtol=1e-3, atol=1e-5
        )
    again = typed(tmp_path / "ranks", *how, "unroll", "train", "rnnlm")
    assert again.count("kept, it was trained already") == 2
