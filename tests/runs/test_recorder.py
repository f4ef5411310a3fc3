"""What a recorder hears of a training is what stands in its circumstances."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from models.toys import CPU, addition, pairs_options, subject
from models.toys import record as toy_record
from unroll.runs.circumstances import Circumstances, read_circumstances, read_diff
from unroll.runs.record import seed_folder
from unroll.runs.recorder import Recorder
from unroll.storage.files import write_text
from unroll.storage.folders import check_folder
from unroll.training.checkpoint import Checkpoint
from unroll.training.loop import Epoch, Resumed, Step
from unroll.training.run import Job
from unroll.training.workers import Done, Started

NOW, BEFORE, LONG_BEFORE = "ab" * 32, "cd" * 32, "ef" * 32  # digests of sources


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Work in a folder without git, as if DVC had not started it."""
    for name in [n for n in os.environ if n.startswith(("DVC_", "GIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)


def make(folder: Path) -> Recorder:
    return Recorder("unroll train v", NOW, folder)


def hear(recorder: Recorder, seed: int, *messages) -> None:
    checkpoint = Checkpoint(Path("checkpoints"), seed, "key", every=None)
    job = Job(
        subject(pairs_options(seeds=[4, 7])),
        seed,
        addition(),
        CPU,
        Path("prepared"),
        Path("target"),
        checkpoint,
        NOW,
        "run: dvc repro",
    )
    for message in messages:
        recorder(job, message)


def written(folder: Path, seed: int, epochs: int) -> Circumstances:
    """Return what was written of a seed that was trained for so many epochs."""
    check_folder(seed_folder(folder, seed))
    scores = {"valid_exact_match": [0.5] * epochs}
    found = toy_record(pairs_options(seeds=[4, 7]), seed=seed, **scores)
    return read_circumstances(seed_folder(folder, seed), found)


@pytest.fixture
def recorder(tmp_path):
    made = make(tmp_path / "v")
    hear(made, 7, Started(), Epoch(1, {"train_loss": 2.0}, 11.0, 1.23456, 0.5))
    hear(made, 4, Started(), Epoch(1, {"train_loss": 3.0}, 12.0, 2.0, 0.25), Step(2, 1, 9, 2.5))
    hear(made, 7, Epoch(2, {"train_loss": 1.0}, 13.0, 1.5, 0.125), Done(123_456_789))
    return made


def test_each_seed_has_a_folder_of_its_own_when_it_is_done(recorder, tmp_path):
    assert [path.name for path in (tmp_path / "v").iterdir()] == ["seed-7"]
    hear(recorder, 4, Done(50_000_000))
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == ["seed-4", "seed-7"]
    columns = ["epoch", "ended", "train_seconds", "valid_seconds"]
    found = {seed: written(tmp_path / "v", seed, epochs) for seed, epochs in ((4, 1), (7, 2))}
    assert found[7].epochs[columns].to_numpy().tolist() == [
        [1, 11.0, 1.235, 0.5],
        [2, 13.0, 1.5, 0.125],
    ]
    assert found[4].epochs[columns].to_numpy().tolist() == [[1, 12.0, 2.0, 0.25]]
    assert {seed: one.session.peak_memory_mb for seed, one in found.items()} == {7: 123.5, 4: 50.0}


def test_the_source_is_noted_with_each_seed(recorder, tmp_path):
    source = written(tmp_path / "v", 7, 2).source
    assert source == recorder.source
    assert (source.command, source.sources, source.commit) == ("unroll train v", [NOW], None)


def test_epochs_before_an_interruption_are_noted_with_their_own_times(tmp_path):
    recorder = make(tmp_path / "v")
    before = (Epoch(1, {}, 100.0, 2.0, 0.5), Epoch(2, {}, 200.0, 3.0, 0.5))
    hear(recorder, 7, Started(), Resumed(before, step=9), Epoch(3, {}, 900.0, 1.0, 1.0), Done(1))
    found = written(tmp_path / "v", 7, 3)
    assert found.epochs["ended"].tolist() == [100.0, 200.0, 900.0]
    assert found.seconds == 8.0


@pytest.mark.parametrize(
    ("earlier", "noted"),
    [
        ((), [NOW]),
        ((NOW,), [NOW]),
        ((BEFORE,), [BEFORE, NOW]),
        ((LONG_BEFORE, BEFORE), [LONG_BEFORE, BEFORE, NOW]),
        ((BEFORE, NOW), [BEFORE, NOW]),
    ],
    ids=["none", "the same", "another", "two others", "another and the same"],
)
def test_sources_by_which_it_was_trained_before_are_noted_first(tmp_path, earlier, noted):
    recorder = make(tmp_path / "v")
    epoch = Epoch(1, {}, 100.0, 2.0, 0.5)
    hear(recorder, 7, Started(), Resumed((epoch,), 0, earlier), Done(1))
    hear(recorder, 4, Started(), epoch, Done(1))
    assert written(tmp_path / "v", 7, 1).source.sources == noted
    assert written(tmp_path / "v", 4, 1).source.sources == [NOW]


def test_times_follow_the_clock(tmp_path):
    recorder, before = make(tmp_path / "v"), time.time()
    hear(recorder, 7, Started())
    time.sleep(0.02)
    hear(recorder, 7, Epoch(1, {}, time.time(), 1.0, 1.0))
    time.sleep(0.02)
    hear(recorder, 7, Done(1))
    found = written(tmp_path / "v", 7, 1)
    [epoch] = found.epochs["ended"]
    session = found.session
    assert before - 0.001 <= session.started < epoch < session.ended <= time.time() + 0.001


def test_the_load_is_that_of_the_whole_machine(recorder, tmp_path):
    for row in written(tmp_path / "v", 7, 2).epochs.itertuples():
        assert 0 <= row.cpu_percent <= 100
        assert row.memory_mb > 10


def test_an_epoch_that_is_asked_for_again_has_the_timing_that_was_noted(tmp_path):
    recorder = make(tmp_path / "v")
    epoch = Epoch(1, {}, 11.0, 1.0, 0.5)
    first = recorder.timings(7, [epoch])
    assert recorder.timings(7, [epoch]) == first
    hear(recorder, 7, Started(), epoch, Done(1))
    assert written(tmp_path / "v", 7, 1).epochs["cpu_percent"].tolist() == [first[0].cpu_percent]


def test_the_diff_is_that_of_the_start(tmp_path):
    """A seed may end hours later, when the working copy is another."""
    for command in ("init", "config user.name test", "config user.email test@example.org"):
        subprocess.run(["git", *command.split()], check=True, capture_output=True)
    write_text(tmp_path / "code.py", "x = 1\n")
    subprocess.run(["git", "add", "--all"], check=True)
    subprocess.run(["git", "commit", "--quiet", "--message", "start"], check=True)
    (tmp_path / "code.py").write_text("x = 2\n")
    recorder = make(tmp_path / "data" / "v")
    (tmp_path / "code.py").write_text("x = 3\n")
    hear(recorder, 7, Started(), Epoch(1, {}, 11.0, 1.0, 0.5), Done(1))
    assert written(tmp_path / "data" / "v", 7, 1).source.dirty
    diff = read_diff(seed_folder(tmp_path / "data" / "v", 7))
    assert diff == recorder.diff
    assert b"+x = 2\n" in diff
    assert b"x = 3" not in diff
