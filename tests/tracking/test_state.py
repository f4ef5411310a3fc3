"""The state that outputs imply."""

import json
import os
import subprocess
from dataclasses import replace

import pytest

from models.toys import CPU, addition, pairs_options, task_section
from tracking.left import CODE, EPOCH, evaluate, train
from unroll.errors import DataError
from unroll.evaluation.scores import write_scores
from unroll.options import resolved
from unroll.runs.circumstances import EpochTiming, Source, read_circumstances
from unroll.runs.record import seed_folder
from unroll.runs.recorder import Recorder
from unroll.runs.subject import Subject
from unroll.runs.trained import trained
from unroll.storage.files import write_json, write_text
from unroll.storage.folders import new_folder
from unroll.study import Study, load
from unroll.tracking.state import (
    KEY,
    Point,
    desired,
    epoch_points,
    experiment_name,
    opening,
)
from unroll.training.checkpoint import Checkpoint
from unroll.training.loop import Resumed
from unroll.training.run import Job
from unroll.training.workers import Done, Started

SOURCE = Source(command="unroll train peeky", stage="train@peeky", experiment=None, folder="",
                commit="a" * 40, dirty=True, sources=["1" * 64, "2" * 64])  # fmt: skip
SUBJECT = Subject(
    "root", "peeky", pairs_options(seeds=[3, 5], decoder="peeky", task="addition"),
    "d" * 64, "c" * 64, {"device": "cpu", "threads": 1},
)  # fmt: skip


def test_a_parent_and_a_child_per_seed_open_with_their_keys():
    found = opening(SUBJECT, SOURCE, [3, 5])
    assert found.experiment == "addition"
    assert found.parent.name == "peeky"
    assert found.parent.key == found.parent.tags[KEY] == SUBJECT.key()
    assert {s: c.key for s, c in found.children.items()} == {3: SUBJECT.key(3), 5: SUBJECT.key(5)}
    assert found.children[5].name == "peeky seed 5"


def test_params_are_the_options_and_the_seed():
    found = opening(SUBJECT, SOURCE, [3, 5])
    options = {k: str(v) for k, v in resolved(SUBJECT.options).items() if k != "seeds"}
    assert options["decoder"] == "peeky"
    named = {**options, "_variant": "peeky"}
    assert found.children[3].params == {**named, "seed": "3"}
    assert found.parent.params == {**named, "seeds": "[3, 5]"}


def test_an_option_that_came_later_is_a_param_only_where_it_does_something():
    forced = replace(SUBJECT, options=SUBJECT.options.model_copy(update={"teacher_forcing": 0.5}))
    assert "teacher_forcing" not in opening(SUBJECT, SOURCE, []).parent.params
    assert opening(forced, SOURCE, []).parent.params["teacher_forcing"] == "0.5"


def test_only_the_seeds_that_are_trained_open_a_run():
    found = opening(SUBJECT, SOURCE, [5])
    assert set(found.children) == {5}
    assert found.parent.params["seeds"] == "[3, 5]"
    assert found.parent.key == SUBJECT.key()


def test_tags_name_command_code_and_environment():
    tags = opening(SUBJECT, SOURCE, [3, 5]).children[3].tags
    assert tags["mlflow.source.name"] == "unroll train peeky"
    assert tags["mlflow.source.git.commit"] == "a" * 40
    assert tags["git.dirty"] == "true"
    assert tags["dvc.stage"] == "train@peeky"
    assert "dvc.experiment" not in tags
    assert tags["environment.device"] == "cpu"
    assert tags["data.digest"] == "d" * 64
    assert tags["plan.digest"] == "c" * 64
    assert tags["sources.digest"] == "2" * 64  # those by which it ended
    without = opening(SUBJECT, SOURCE.model_copy(update={"commit": None}), [3]).parent.tags
    assert not {"git.dirty", "mlflow.source.git.commit"} & set(without)


def test_an_epoch_gives_a_point_per_metric_at_the_time_of_its_end():
    timing = EpochTiming(2, 12.3456, 1.5, 0.5, 97.0, 2048.0)
    points = epoch_points({"epoch": 2, "train_loss": 0.25, "valid_exact_match": 0.5}, timing)
    assert points == [
        Point("valid/exact_match", 2, 0.5, 12_346),
        Point("train/loss", 2, 0.25, 12_346),
        Point("work/train_seconds", 2, 1.5, 12_346),
        Point("work/valid_seconds", 2, 0.5, 12_346),
        Point("system/cpu_utilization_percentage", 2, 97.0, 12_346),
        Point("system/system_memory_usage_megabytes", 2, 2048.0, 12_346),
    ]


def test_the_digest_of_a_state_is_that_of_its_content():
    one, same = (opening(SUBJECT, SOURCE, [3, 5]).parent for _ in range(2))
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
    return load()


def test_scores_of_an_earlier_training_are_not_taken(guarded):
    train(guarded)
    [record] = trained(guarded, "plain")
    earlier = replace(record, subject=replace(record.subject, plan="e" * 64))
    for records, scored in (([earlier], False), ([record], True)):
        evaluate(guarded, records)
        found = desired(guarded, "plain")
        for run in (found.parent, found.children[0]):
            metrics = {point.metric for point in run.points}
            assert ("test/exact_match" in metrics, "samples.txt" in run.files) == (scored, scored)


@pytest.mark.parametrize("document", [None, {"schema": 1}], ids=["without run.json", "schema 1"])
def test_scores_that_an_earlier_version_has_left_are_not_taken(guarded, document):
    train(guarded)
    with new_folder(guarded.evaluation("plain")) as new:
        write_scores(new, {0: {"test_exact_match": 0.5}})
        write_text(new / "seed-0" / "samples.txt", "Q 1\n")
        if document is not None:
            write_json(new / "seed-0" / "run.json", document)
    found = desired(guarded, "plain")
    for run in (found.parent, found.children[0]):
        assert "samples.txt" not in run.files
        assert "test/exact_match" not in {point.metric for point in run.points}


def test_a_damaged_evaluation_says_how_to_make_it_anew(guarded):
    train(guarded)
    evaluate(guarded, trained(guarded, "plain"))
    (seed_folder(guarded.evaluation("plain"), 0) / "run.json").unlink()
    with pytest.raises(DataError, match=r"run\.json is missing; run: dvc repro evaluate@plain"):
        desired(guarded, "plain")


def test_what_a_model_wrote_is_the_sample_of_its_variant(guarded):
    train(guarded)
    evaluate(guarded, trained(guarded, "plain"))
    with new_folder(guarded.generated("plain")) as folder:
        write_text(folder / "samples.txt", "=== you\nyou .\n")
    found = desired(guarded, "plain")
    assert found.parent.files["samples.txt"] == b"=== you\nyou .\n"
    assert found.children[0].files["samples.txt"] == b"Q 0\n"


def test_a_seed_that_was_kept_has_the_circumstances_of_its_own_training(guarded):
    """The parent has those of the last one that began."""
    train(guarded, seed=0, seeds=[0, 1], sources="4" * 64)
    subprocess.run(["git", "add", "code.py"], check=True)
    commit = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", "commit"]
    subprocess.run([*commit, "--quiet", "--message", "code"], check=True)
    train(guarded, seed=1, seeds=[0, 1])
    found = desired(guarded, "plain")
    first, second, parent = found.children[0], found.children[1], found.parent
    assert first.tags["sources.digest"] == "4" * 64
    assert second.tags["sources.digest"] == parent.tags["sources.digest"] == CODE
    commits = [run.tags["mlflow.source.git.commit"] for run in (first, second, parent)]
    assert commits[0] != commits[1] == commits[2]
    assert [run.tags["git.dirty"] for run in (first, second, parent)] == ["true", "false", "false"]
    assert [("uncommitted.diff" in run.files) for run in (first, second, parent)] == [
        True, False, False,
    ]  # fmt: skip
    assert (parent.started, parent.ended) == (first.started, second.ended)
    assert first.params.items() >= {"seed": "0", "parameters": "12"}.items()
    assert parent.points == []  # they come with the scores


def test_the_metric_that_decides_is_the_first_that_mlflow_meets(guarded):
    train(guarded)
    evaluate(guarded, trained(guarded, "plain"))
    found = desired(guarded, "plain")
    for run in (found.parent, found.children[0]):
        first = run.points[0]
        assert (first.metric, first.step, first.value) == ("test/exact_match", 0, 0.5)
        assert [point.value for point in run.points if point.metric == "train/loss"] == [0.5]
        assert min(run.params) == "_variant"  # of the params, the first of the alphabet
        assert run.params["_variant"] == "plain"


def test_documents_and_circumstances_of_each_seed_are_what_its_run_holds(guarded):
    train(guarded, seeds=[0])
    [run] = desired(guarded, "plain").children.values()
    folder = seed_folder(guarded.model("plain"), 0)
    for name in ("run.json", "facts.json", "history.csv"):
        assert run.files[name] == (folder / name).read_bytes()
    inner = seed_folder(guarded.circumstances("plain"), 0)
    [record] = trained(guarded, "plain")
    session = read_circumstances(inner, record).session
    assert run.ended == round(1000 * session.ended)
    assert run.tags["environment.torch"] == "2.13.0"
    last = {point.metric: point for point in run.points}
    assert last["work/training_seconds"].value == 2.0
    assert {metric for metric, point in last.items() if point.step == 0} == {
        "work/training_seconds", "work/worker_peak_memory_megabytes",
    }  # fmt: skip


def test_a_training_that_went_on_by_other_sources_is_tagged_by_the_last(guarded):
    opened = train(guarded)
    folder = guarded.circumstances("plain")
    recorder = Recorder("unroll train plain", "6" * 64, folder)
    checkpoint = Checkpoint(guarded.checkpoints("plain"), 0, "key", every=None)
    target = seed_folder(guarded.model("plain"), 0)
    prepared = guarded.prepared("sums")
    job = Job(opened.subject, 0, addition(), CPU, prepared, target, checkpoint, "6" * 64, "")
    for message in (Started(), Resumed((EPOCH,), 0, (CODE, "6" * 64)), Done(1)):
        recorder(job, message)
    [run] = desired(guarded, "plain").children.values()
    session = json.loads((seed_folder(folder, 0) / "session.json").read_text())
    assert session["source"]["sources"] == [CODE, "6" * 64]
    assert run.tags["sources.digest"] == "6" * 64


def test_no_password_comes_into_what_runs_hold(guarded):
    opened, found = train(guarded), desired(guarded, "plain")
    run = found.parent
    assert run.tags.items() > opened.parent.tags.items()
    assert {"dvc.lock", "uncommitted.diff"} <= set(run.files)
    assert "git apply" in run.tags["mlflow.note.content"]
    assert b"https://***@host/a" in run.files["uncommitted.diff"]
    for state in (opened, found):
        assert PASSWORD not in repr(state)
