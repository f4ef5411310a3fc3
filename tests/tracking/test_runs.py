"""Runs in a real MLflow database, brought to a state from whatever is there."""

import copy
import os
import shutil
import socket
import sys

import psutil
import pytest

from tracking.states import no_tags
from unroll.tracking.lineage import Data
from unroll.tracking.runs import (
    COMPLETE,
    PARENT,
    PROCESS,
    _started,
    bring,
    end_abandoned,
    log_points,
    start,
)
from unroll.tracking.state import DESCRIPTION, KEY, NOTE, Point, RunState, digest_of
from unroll.tracking.store import experiment

POINTS = [Point("loss", 1, 2.0, 5_000), Point("loss", 2, 0.1 + 0.2, 6_000)]
DATA = Data("addition", "0123.dir", "data/prepared/addition", ("question",), {"train": 3})
TAGS = {KEY: "k1", "variant": "peeky"}
DEAD = f"{socket.gethostname()}:1:0"  # no process 1 was created in 1970


def state(**changes) -> RunState:
    parts = {
        "key": "k1",
        "name": "peeky seed 3",
        "params": {"seed": "3", "decoder": "peeky"},
        "tags": TAGS,
        "started": 1_000,
        "ended": 7_000,
        "points": list(POINTS),
        "files": {"samples.txt": b"Q 1+1\n"},
        "data": DATA,
    }
    return copy.deepcopy(RunState(**{**parts, **changes}))


@pytest.fixture
def place(client):
    return experiment(client, "addition", no_tags)


def holds(client, run_id: str, wanted: RunState) -> None:
    """Assert that a run is what a state says, and nothing more."""
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.end_time == wanted.ended
    assert run.info.run_name == wanted.name
    assert run.data.params == wanted.params
    assert {k: v for k, v in run.data.tags.items() if k in wanted.tags} == wanted.tags
    assert set(run.data.tags) == {*wanted.tags, COMPLETE, "mlflow.runName"}
    found = {
        Point(name, p.step, p.value, p.timestamp)
        for name in run.data.metrics
        for p in client.get_metric_history(run_id, name)
    }
    assert found == set(wanted.points)
    assert {a.path for a in client.list_artifacts(run_id)} == set(wanted.files)
    [dataset] = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("addition", "0123.dir")


def active(client, place) -> list[str]:
    return [run.info.run_id for run in client.search_runs([place])]


def test_a_run_that_is_missing_is_created(client, place):
    run, action = bring(client, place, state(), None)
    assert action == "created"
    holds(client, run, state())
    assert client.get_run(run).info.start_time == 1_000


def test_a_complete_run_is_left_alone(client, place):
    run, _ = bring(client, place, state(), None)
    client.set_tag(run, "mlflow.note.content", "a remark of mine")
    assert bring(client, place, state(), None) == (run, "kept")
    assert client.get_run(run).data.tags["mlflow.note.content"] == "a remark of mine"


def test_what_training_has_begun_is_completed(client, place):
    run = start(client, place, state(params={"seed": "3"}, started=None), None)
    log_points(client, run, POINTS[:1])
    assert client.get_run(run).info.status == "RUNNING"
    assert bring(client, place, state(), None) == (run, "completed")
    holds(client, run, state())
    assert bring(client, place, state(), None) == (run, "kept")


def test_scores_that_come_later_are_added(client, place):
    run, _ = bring(client, place, state(files={}), None)
    later = state(points=[*POINTS, Point("test_exact_match", 2, 0.5, 7_000)])
    assert bring(client, place, later, None) == (run, "completed")
    holds(client, run, later)


@pytest.mark.parametrize(
    "point",
    [Point("loss", 1, 2.5, 5_000), Point("loss", 3, 0.2, 8_000), Point("other", 1, 0.0, 5_000)],
    ids=["another value", "another epoch", "another metric"],
)
def test_what_another_try_has_logged_gives_way(client, place, point):
    old = start(client, place, state(), None)
    log_points(client, old, [*POINTS[:1], point])
    client.set_tag(old, PROCESS, DEAD)
    run, action = bring(client, place, state(), None)
    assert action == "replaced"
    assert active(client, place) == [run]
    holds(client, run, state())
    assert client.get_run(old).info.lifecycle_stage == "deleted"


def test_what_people_have_set_on_a_run_moves_to_the_one_that_replaces_it(client, place):
    note = "as we wrote it"
    ours = {DESCRIPTION: note, NOTE: digest_of(note)}
    old, _ = bring(client, place, state(tags={**TAGS, **ours}), None)
    client.set_tag(old, "remark", "the one for the talk")
    client.set_tag(old, "code.digest", "of an earlier version")
    client.set_tag(old, DESCRIPTION, "my own words")
    other = state(tags={**TAGS, **ours}, points=[Point("loss", 1, 9.0, 5_000)])
    run, action = bring(client, place, other, None)
    assert action == "replaced"
    tags = client.get_run(run).data.tags
    assert (tags["remark"], tags[DESCRIPTION]) == ("the one for the talk", "my own words")
    assert "code.digest" not in tags
    later = {**TAGS, DESCRIPTION: "better", NOTE: digest_of("better")}
    more = [Point("loss", 1, 9.0, 5_000), Point("loss", 2, 1.0, 7_000)]
    assert bring(client, place, state(tags=later, points=more), None) == (run, "completed")
    assert client.get_run(run).data.tags[DESCRIPTION] == "my own words"


def test_a_description_that_nobody_has_changed_is_renewed(client, place):
    for note in ("first", "second"):
        tags = {**TAGS, DESCRIPTION: note, NOTE: digest_of(note)}
        run, _ = bring(client, place, state(tags=tags), None)
        assert client.get_run(run).data.tags[DESCRIPTION] == note


def test_of_two_tries_the_one_that_fits_stays(client, place):
    for value in (2.5, 2.0, 2.7):
        run = start(client, place, state(), None)
        log_points(client, run, [Point("loss", 1, value, 5_000)])
        client.set_tag(run, PROCESS, DEAD)
        if value == 2.0:
            fitting = run
    assert bring(client, place, state(), None) == (fitting, "completed")
    assert active(client, place) == [fitting]


def test_files_that_are_gone_are_added_again(client, place, tmp_path):
    run, _ = bring(client, place, state(), None)
    shutil.rmtree(tmp_path / "mlruns")
    assert bring(client, place, state(), None) == (run, "completed")
    holds(client, run, state())


def test_a_child_follows_its_parent(client, place):
    first, _ = bring(client, place, state(key="p", tags={KEY: "p"}), None)
    child, _ = bring(client, place, state(), first)
    assert client.get_run(child).data.tags[PARENT] == first
    client.delete_run(first)
    second, _ = bring(client, place, state(key="p", tags={KEY: "p"}), None)
    assert bring(client, place, state(), second) == (child, "completed")
    assert client.get_run(child).data.tags[PARENT] == second


def test_a_run_that_a_living_process_writes_is_left_to_it(client, place):
    run = start(client, place, state(), None)
    parent = os.getppid()
    client.set_tag(run, PROCESS, f"{socket.gethostname()}:{parent}:{_started(parent)}")
    assert bring(client, place, state(), None) == (run, "training")
    assert end_abandoned(client, place, "peeky") == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere psutil reads another clock")
def test_a_process_is_known_by_its_start_also_after_the_clock_was_set(monkeypatch):
    started, booted = _started(os.getppid()), psutil.boot_time()
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: booted + 3600)
    assert psutil.boot_time() == booted + 3600
    assert _started(os.getppid()) == started


def test_a_run_whose_process_is_gone_is_marked(client, place):
    run = start(client, place, state(), None)
    client.set_tag(run, PROCESS, DEAD)
    [ended] = end_abandoned(client, place, "peeky")
    assert ended.info.run_id == run
    assert client.get_run(run).info.status == "KILLED"
    assert end_abandoned(client, place, "peeky") == []


def test_points_of_any_number_are_logged_once(client, place):
    many = [Point("loss", step, step / 7, step) for step in range(1, 2_501)]
    run, _ = bring(client, place, state(points=many), None)
    log_points(client, run, many)
    found = client.get_metric_history(run, "loss")
    assert sorted((p.step, p.value) for p in found) == [(p.step, p.value) for p in many]
