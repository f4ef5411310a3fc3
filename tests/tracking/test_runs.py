"""Runs in a real MLflow database."""

import shutil

import pandas as pd
import pytest
from mlflow import MlflowClient

from unroll.config import PairsOptions
from unroll.tracking.runs import KEY, Tracker, tracking_uri
from unroll.tracking.subject import Subject

HISTORY = pd.DataFrame({"epoch": [1, 2], "train_loss": [2.0, 1.0], "valid_exact_match": [0.1, 0.3]})
FACTS = {"parameters": 1234, "device": "cpu", "precision": "float32"}


def subject(**changes) -> Subject:
    options = {
        "task": "addition",
        "seeds": [3, 5],
        "embedding_size": 4,
        "hidden_size": 8,
        "epochs": 2,
        "batch_size": 2,
        "optimizer": "adam",
        "learning_rate": 0.001,
    }
    return Subject("root", "addition", "peeky", PairsOptions(**{**options, **changes}), "d" * 64)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A new database takes seconds to make; tests copy it."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def client(empty_database, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return MlflowClient(tracking_uri())


def runs(client):
    experiment = client.get_experiment_by_name("addition")
    found = client.search_runs([experiment.experiment_id])
    children = {r.data.tags["seed"]: r for r in found if "seed" in r.data.tags}
    parents = [r for r in found if "seed" not in r.data.tags]
    return parents, children


def train(the_subject):
    tracker = Tracker(the_subject, FACTS)
    tracker.start()
    for seed in the_subject.options.seeds:
        for row in HISTORY.to_dict("records"):
            tracker.epoch(seed, row, seconds=0.5)
        tracker.finish_seed(seed, [])
    tracker.finish(dict.fromkeys(the_subject.options.seeds, HISTORY))


def evaluate(the_subject, files=()):
    scores = {3: {"test_exact_match": 0.25}, 5: {"test_exact_match": 0.75}}
    histories = dict.fromkeys(scores, HISTORY)
    Tracker(the_subject, FACTS).evaluated(histories, scores, dict.fromkeys(scores, files), files)


def test_training_logs_a_parent_and_a_child_per_seed(client):
    train(subject())
    [parent], children = runs(client)
    assert set(children) == {"3", "5"}
    for seed, run in children.items():
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.params["seed"] == seed
        assert run.data.params["hidden_size"] == "8"
        losses = client.get_metric_history(run.info.run_id, "train_loss")
        assert [(p.step, p.value) for p in losses] == [(1, 2.0), (2, 1.0)]
        assert run.data.metrics["epoch_seconds"] == 0.5
    assert parent.data.metrics["valid_exact_match"] == pytest.approx(0.3)
    assert parent.data.tags["data.digest"] == "d" * 64
    assert parent.data.tags["facts.device"] == "cpu"


def test_runs_appear_while_training_runs(client):
    tracker = Tracker(subject(), FACTS)
    tracker.start()
    tracker.epoch(3, {"epoch": 1, "train_loss": 2.0})
    _, children = runs(client)
    assert children["3"].info.status == "RUNNING"
    assert children["3"].data.metrics["train_loss"] == 2.0


def test_evaluation_does_not_lengthen_the_runs_of_training(client):
    train(subject())
    before = {seed: run.info.end_time for seed, run in runs(client)[1].items()}
    evaluate(subject())
    assert {seed: run.info.end_time for seed, run in runs(client)[1].items()} == before


def test_evaluation_completes_the_runs_of_training(client, tmp_path):
    train(subject())
    (tmp_path / "samples.txt").write_text("Q 1+1\n")
    evaluate(subject(), [tmp_path / "samples.txt"])
    [parent], children = runs(client)
    assert children["3"].data.metrics["test_exact_match"] == 0.25
    assert children["5"].data.metrics["test_exact_match"] == 0.75
    assert parent.data.metrics["test_exact_match"] == 0.5
    assert parent.data.metrics["test_exact_match_std"] == pytest.approx(0.125**0.5)
    artifacts = client.list_artifacts(children["3"].info.run_id)
    assert [a.path for a in artifacts] == ["samples.txt"]


def test_evaluation_creates_the_runs_where_the_database_is_new(client):
    evaluate(subject())
    [parent], children = runs(client)
    losses = client.get_metric_history(children["5"].info.run_id, "train_loss")
    assert [(p.step, p.value) for p in losses] == [(1, 2.0), (2, 1.0)]
    assert children["5"].data.metrics["test_exact_match"] == 0.75
    assert parent.info.status == "FINISHED"


def test_training_again_replaces_the_runs_of_the_same_key(client):
    train(subject())
    train(subject())
    parents, children = runs(client)
    assert len(parents) == 1
    assert len(children) == 2


def test_other_options_are_other_runs(client):
    train(subject())
    train(subject(hidden_size=16))
    parents, _ = runs(client)
    assert len(parents) == 2
    assert len({p.data.tags[KEY] for p in parents}) == 2


def test_the_key_of_a_seed_does_not_change_with_the_other_seeds():
    assert subject().key(3) == subject(seeds=[3]).key(3)
    assert subject().key(3) != subject().key(5)
    assert subject().key() != subject(seeds=[3]).key()


def test_an_unreachable_server_gives_one_warning_and_stops_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    train(subject())
    assert capsys.readouterr().err.count("MLflow at http://127.0.0.1:9 could not be written") == 1
