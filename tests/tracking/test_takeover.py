"""A database that an earlier version of this project has filled, with runs of another schema."""

import socket
import time

import pytest
from mlflow.entities import Metric, Param, RunTag, ViewType

from models.toys import task_section
from tracking.left import evaluate, train
from unroll.runs.trained import trained
from unroll.stages.track import track
from unroll.study import load
from unroll.tracking.state import KEY

pytestmark = pytest.mark.slow

PARAMS = f"tasks:\n{task_section('sums', 8)}variants:\n  plain: {{task: sums}}\n"
EARLIER = {  # tags that runs of schema 1 had
    "study": "root",
    "task": "sums",
    "variant": "plain",
    "code.digest": "9" * 64,
    "data.digest": "8" * 64,
    "unroll.complete": "7" * 64,
}


@pytest.fixture
def study(client, tmp_path):
    """Return a study in the folder of the database, trained and evaluated, but not tracked."""
    (tmp_path / "params.yaml").write_text(PARAMS)
    study = load()
    train(study)
    evaluate(study, trained(study, "plain"))
    return study


def earlier_runs(client) -> str:
    """Fill the database as it was filled before; return the experiment."""
    place = client.create_experiment("sums", tags={"mlflow.note.content": "of an earlier version"})
    parent = earlier_run(client, place, {KEY: "0" * 16, "unroll.level": "variant"})
    tags = {KEY: "1" * 16, "unroll.level": "seed", "seed": "0", "mlflow.parentRunId": parent}
    child = earlier_run(client, place, tags)
    client.create_registered_model("sums", description="of an earlier version")
    model = client.create_logged_model(place, source_run_id=child).model_id
    version = client.create_model_version(
        "sums", f"models:/{model}", child, tags={KEY: "1" * 16, "variant": "plain"}
    )
    for alias in ("plain", "champion", "mine"):
        client.set_registered_model_alias("sums", alias, version.version)
    return place


def earlier_run(client, place: str, tags: dict[str, str]) -> str:
    run = client.create_run(place, 1_000, EARLIER | tags, "plain").info.run_id
    params = [Param("hidden_size", "8"), Param("remedy", "an option that is no more")]
    metrics = [Metric("train_loss", 0.5, 2_000, 1), Metric("test_exact_match", 0.25, 2_000, 1)]
    client.log_batch(run, metrics=metrics, params=params, tags=[RunTag("mine", "a remark")])
    client.log_text(run, "schema 1", "run.json")
    client.set_terminated(run, "FINISHED", 3_000)
    return run


def all_of(client, place: str) -> dict[str, tuple]:
    """Return all that runs hold, whatever has become of them."""
    runs = client.search_runs([place], run_view_type=ViewType.ALL)
    return {
        run.info.run_id: (
            run.to_dictionary(),
            {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics},
            [file.path for file in client.list_artifacts(run.info.run_id)],
        )
        for run in runs
    }


def versions(client) -> dict[str, str]:
    return {str(v.version): v.run_id for v in client.search_model_versions("name = 'sums'")}


def test_runs_of_another_schema_stay_as_they_are_and_aliases_move_on(client, study, capsys):
    place = earlier_runs(client)
    before, registered = all_of(client, place), versions(client)
    track(study)
    after = all_of(client, place)
    assert {run: after[run] for run in before} == before
    new = {run: parts[0] for run, parts in after.items() if run not in before}
    [record] = trained(study, "plain")
    keys = {run["data"]["tags"][KEY]: run for run in new.values()}
    assert set(keys) == {record.key, record.subject.key()}
    child = keys[record.key]
    assert child["data"]["tags"]["plan.digest"] == record.subject.plan
    assert (
        child["data"]["tags"]["mlflow.parentRunId"] == keys[record.subject.key()]["info"]["run_id"]
    )
    assert child["data"]["metrics"]["test/exact_match"] == 0.5
    found = versions(client)
    assert registered.items() < found.items()
    [version] = found.keys() - registered.keys()
    assert found[version] == child["info"]["run_id"]
    model = client.get_registered_model("sums")
    aliases = {alias: str(number) for alias, number in model.aliases.items()}
    assert aliases == {"plain": version, "champion": version, "mine": "1"}
    assert model.description == "of an earlier version"
    # And a second time changes nothing.
    capsys.readouterr()
    track(study)
    assert "created" not in capsys.readouterr().out
    assert all_of(client, place) == after
    assert versions(client) == found


def test_a_run_of_another_schema_that_was_killed_is_marked_and_no_more(client, study):
    place = earlier_runs(client)
    run = client.create_run(place, round(1000 * time.time()), EARLIER | {KEY: "2" * 16}).info.run_id
    client.set_tag(run, "unroll.process", f"{socket.gethostname()}:1:0")
    track(study)
    found = client.get_run(run)
    assert (found.info.status, found.info.lifecycle_stage) == ("KILLED", "active")
    assert found.data.tags[KEY] == "2" * 16


@pytest.mark.parametrize(
    ("text", "stays"),
    [("The variants of the task **sums**: as it was once said", False), ("my own words", True)],
)
def test_what_an_earlier_version_said_of_an_experiment_is_said_anew(client, study, text, stays):
    place = client.create_experiment("sums", tags={"mlflow.note.content": text})
    track(study)
    found = client.get_experiment(place).tags["mlflow.note.content"]
    assert (found == text) == stays
    assert stays or "viewStateShareKey=variants" in found
