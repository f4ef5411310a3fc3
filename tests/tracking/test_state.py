"""The state that outputs imply."""

import json
import os
import subprocess
from dataclasses import replace

import pandas as pd
import pytest

from models.toys import CPU, pairs, pairs_options, seq2seq, task_section
from unroll import study
from unroll.runs.circumstances import EpochTiming, Recorder, Source
from unroll.study import Study
from unroll.storage.files import new_folder, write_text
from unroll.data.pairs import save_pairs
from unroll.evaluation.scores import write_runs, write_scores
from unroll.runs.record import Record, seed_folder, write_record
from unroll.runs.subject import Subject
from unroll.tracking.lineage import dvc_digest
from unroll.tracking.state import (
    KEY,
    Point,
    VariantState,
    desired,
    epoch_points,
    experiment_name,
    opening,
)
from unroll.runs.trained import trained
from unroll.training.checkpoint import Checkpoint
from unroll.training.loop import Epoch
from unroll.training.run import Job
from unroll.training.workers import Done, Started

SOURCE = Source(command="unroll train peeky", stage="train@peeky", experiment=None, folder="",
                commit="a" * 40, dirty=True)  # fmt: skip
SUBJECT = Subject(
    "root", "peeky", pairs_options(seeds=[3, 5], decoder="peeky", task="addition"),
    "d" * 64, "c" * 64, {"device": "cpu", "threads": 1},
)  # fmt: skip


def test_a_parent_and_a_child_per_seed_open_with_their_keys():
    found = opening(SUBJECT, SOURCE)
    assert found.experiment == "addition"
    assert found.parent.name == "peeky"
    assert found.parent.key == found.parent.tags[KEY] == SUBJECT.key()
    assert {s: c.key for s, c in found.children.items()} == {3: SUBJECT.key(3), 5: SUBJECT.key(5)}
    assert found.children[5].name == "peeky seed 5"


def test_params_are_the_options_and_the_seed():
    found = opening(SUBJECT, SOURCE)
    options = {k: str(v) for k, v in SUBJECT.options.model_dump().items() if k != "seeds"}
    assert found.children[3].params == {**options, "seed": "3"}
    assert found.parent.params == {**options, "seeds": "[3, 5]"}


def test_tags_name_command_code_and_environment():
    tags = opening(SUBJECT, SOURCE).children[3].tags
    assert tags["mlflow.source.name"] == "unroll train peeky"
    assert tags["mlflow.source.git.commit"] == "a" * 40
    assert tags["git.dirty"] == "true"
    assert tags["dvc.stage"] == "train@peeky"
    assert "dvc.experiment" not in tags
    assert tags["environment.device"] == "cpu"
    without = opening(SUBJECT, SOURCE.model_copy(update={"commit": None})).parent.tags
    assert not {"git.dirty", "mlflow.source.git.commit"} & set(without)


def test_an_epoch_gives_a_point_per_metric_at_the_time_of_its_end():
    timing = EpochTiming(3, 2, 12.3456, 1.5, 0.5, 97.0, 2048.0)
    points = epoch_points({"epoch": 2, "train_loss": 0.25}, timing)
    assert points == [
        Point("train_loss", 2, 0.25, 12_346),
        Point("train_seconds", 2, 1.5, 12_346),
        Point("valid_seconds", 2, 0.5, 12_346),
        Point("system/cpu_utilization_percentage", 2, 97.0, 12_346),
        Point("system/system_memory_usage_megabytes", 2, 2048.0, 12_346),
    ]


def test_the_digest_of_a_state_is_that_of_its_content():
    one, same = (opening(SUBJECT, SOURCE).parent for _ in range(2))
    assert one.digest() == same.digest()
    same.files["samples.txt"] = b"1"
    with_file = same.digest()
    same.files["samples.txt"] = b"2"
    assert len({one.digest(), with_file, same.digest()}) == 3
    same.files.clear()
    same.points.append(Point("loss", 1, 0.5, 0))
    assert same.digest() != one.digest()


def test_the_root_study_gives_its_experiments_the_names_of_tasks():
    assert experiment_name("root", "ptb") == "ptb"
    assert experiment_name("quick", "grammar") == "quick-grammar"


PASSWORD = "hush"
ADDRESS = f"https://me:{PASSWORD}@host/a"


@pytest.fixture
def guarded(tmp_path, monkeypatch) -> Study:
    """Return a study in a checkout where addresses have passwords, and changes hold them."""
    for name in [n for n in os.environ if n.startswith(("DVC_", "GIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", ADDRESS)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    monkeypatch.setenv("DVC_STAGE", "train@plain")
    variants = "variants: {plain: {task: sums}}\n"
    write_text(tmp_path / "params.yaml", f"tasks:\n{task_section('sums', 8)}{variants}")
    write_text(tmp_path / ".gitignore", "/data\n")
    git = ("git", "-c", "user.name=me", "-c", "user.email=me@example.org")
    for arguments in (
        "init",
        "add --all",
        "commit --message start",
        f"remote add origin {ADDRESS}",
    ):
        subprocess.run([*git, *arguments.split()], check=True, capture_output=True)
    write_text(tmp_path / "code.py", f"URI = {ADDRESS!r}\n")
    write_text(tmp_path / ".env", f"PASSWORD={PASSWORD}\n")
    write_text(tmp_path / ".dvc" / "config", f"[remote]\nurl = {ADDRESS}\n")
    return study.load()


HISTORY = pd.DataFrame({"epoch": [1], "train_loss": [0.5], "valid_exact_match": [0.25]})


def train(study: Study) -> VariantState:
    """Leave what a training of the variant `plain` leaves, and return its opening."""
    recorder, options = Recorder(study.command("train", "plain")), study.variant("plain")
    save_pairs(replace(pairs(), facts={"counts": {"train": 20}}), study.prepared("sums"))
    about = Subject("root", "plain", options, "d" * 64, "c" * 64, {"device": "cpu"})
    model, history = seq2seq(hidden_size=8), HISTORY
    form, target = pairs().form, seed_folder(study.model("plain"), 0)
    record = Record(about, 0, 12, form, pairs().vocabulary, history)
    write_record(target, record, model)
    checkpoint = Checkpoint(study.checkpoints("plain"), 0, "key", every=None)
    job = Job(about, 0, CPU, study.prepared("sums"), target, checkpoint, "")
    for message in (Started(), Epoch(1, {"train_loss": 0.5}, 1.0, 1.0, 1.0), Done(1)):
        recorder(job, message)
    recorder.write(study.circumstances("plain"))
    folders = {"prepare@sums": study.prepared("sums"), "train@plain": study.model("plain")}
    stages = {
        stage: {"outs": [{"path": folder.as_posix(), "md5": dvc_digest(folder)}]}
        for stage, folder in folders.items()
    }
    study.lock_file.write_text(json.dumps({"schema": "2.0", "stages": stages}))
    return opening(about, recorder.source)


def test_scores_of_an_earlier_training_are_not_taken(guarded):
    train(guarded)
    earlier = replace(trained(guarded, "plain")[0], seed=1)
    for records, scored in (([earlier], False), (trained(guarded, "plain"), True)):
        with new_folder(guarded.evaluation("plain")) as new:
            write_scores(new, {0: {"test_exact_match": 0.5}})
            write_runs(new, records)
            write_text(new / "seed-0" / "samples.txt", "Q 1\n")
        found = desired(guarded, "plain")
        for run in (found.parent, found.children[0]):
            metrics = {point.metric for point in run.points}
            assert ("test_exact_match" in metrics, "samples.txt" in run.files) == (scored, scored)


def test_no_password_comes_into_what_runs_hold(guarded):
    opened, found = train(guarded), desired(guarded, "plain")
    run = found.parent
    assert run.tags.items() > opened.parent.tags.items()
    assert {"dvc.lock", "uncommitted.diff"} <= set(run.files)
    assert "git apply" in run.tags["mlflow.note.content"]
    assert b"https://***@host/a" in run.files["uncommitted.diff"]
    for state in (opened, found):
        assert PASSWORD not in repr(state)
