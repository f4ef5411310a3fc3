"""MLflow is what the outputs of a study imply, whatever has happened to it."""

import io
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from tracking.states import KEY, PARENT, all_runs, client_of, database_state, determined

pytestmark = pytest.mark.slow

STUDY = "pipeline/toy/dvc.yaml"
PARAMS = "pipeline/toy/params.yaml"
TRACK = ("unroll", "--study", "toy", "track")
LONGER = ("peeky: {task: addition,", "peeky: {task: addition, epochs: 300,")
EDIT = ("decoder: peeky}", "decoder: plain, hidden_size: 10}")


@pytest.fixture
def study(toy_study, tmp_path):
    return toy_study.copy(tmp_path / "moved here")


def rebuilt(study, tmp_path: Path) -> dict:
    """Return the state of a new database that is made from the outputs alone."""
    other = study.copy(tmp_path / "rebuilt")
    (other.folder / "mlflow.db").unlink()
    shutil.rmtree(other.folder / "mlruns")
    other.run(*TRACK)
    return database_state(other.folder)


def actions(output: str) -> set[str]:
    """Return what `unroll track` says that it did."""
    rows = output.splitlines()[1:]
    known = {"kept", "created", "completed", "replaced", "killed", "set", "training"}
    return {word for row in rows for word in row.split() if word in known}


def stages(output: str, name: str) -> list[str]:
    """Return the stages of this name that `dvc repro` has run."""
    prefix = f"Running stage '{STUDY}:{name}"
    lines = [line for line in output.splitlines() if line.startswith(prefix)]
    return [line.split(":")[1].rstrip("'") for line in lines]


def test_dvc_repro_leaves_the_whole_story(toy_study):
    state = database_state(toy_study.folder)
    assert set(state["experiments"]) >= {"toy-addition", "toy-grammar"}
    assert "Compare" in state["experiments"]["toy-addition"]["mlflow.note.content"]
    runs = {run["name"]: run for run in state["runs"].values()}
    assert set(runs) == {
        "baseline", "baseline seed 0", "baseline seed 1", "peeky", "peeky seed 0", "peeky seed 1",
        "rnnlm", "rnnlm seed 0",
    }  # fmt: skip
    run = runs["peeky seed 1"]
    assert run["status"] == "FINISHED"
    assert run["params"]["decoder"] == "peeky"
    assert [step for step, _, _ in run["metrics"]["train/loss"]] == [1, 2, 3]
    cost = ("work/training_seconds", "work/worker_peak_memory_megabytes")
    for metric in ("test/exact_match", *cost):
        [(step, value, _)] = run["metrics"][metric]
        assert step == 0
        assert value >= 0
    assert int(run["params"]["parameters"]) > 100
    assert len(run["metrics"]["system/cpu_utilization_percentage"]) == 3
    tags = run["tags"]
    assert run["tags"]["mlflow.parentRunId"] == runs["peeky"]["tags"][KEY]
    assert tags["dvc.stage"] == f"{STUDY}:train@peeky"
    assert tags["mlflow.source.name"] == "unroll --study toy train peeky"
    assert len(tags["mlflow.source.git.commit"]) == 40
    assert tags["git.dirty"] == "false"
    folder = toy_study.folder / "data/toy"
    record = json.loads((folder / "models/peeky/seed-1/run.json").read_text())
    assert tags["plan.digest"] == record["plan"]
    sources = json.loads((folder / "sources.json").read_text())
    assert tags["sources.digest"] == sources["sha256"]
    lock = (toy_study.folder / "pipeline/toy/dvc.lock").read_text()
    assert tags["dvc.model"] in lock
    assert tags["dvc.data"] in lock
    [dataset] = run["inputs"]
    assert dataset["_digest"] == tags["dvc.data"]
    assert "question" in dataset["_schema"]
    assert '"train": 30' in dataset["_profile"]
    files = {"run.json", "facts.json", "history.csv", "samples.txt", "dvc.lock"}
    assert set(run["files"]) == files
    assert "Q " in tags["mlflow.note.content"]
    assert "dvc checkout data/toy/models/peeky" in tags["mlflow.note.content"]


def test_the_best_seed_of_each_variant_is_registered(toy_study):
    models = database_state(toy_study.folder)["models"]
    addition = models["toy-addition"]
    assert {v["tags"]["variant"] for v in addition["versions"].values()} == {"baseline", "peeky"}
    values = {key: float(v["tags"]["valid_exact_match"]) for key, v in addition["versions"].items()}
    assert values[addition["aliases"]["champion"]] == max(values.values())
    assert addition["aliases"].keys() == {"champion", "baseline", "peeky"}
    for version in addition["versions"].values():
        assert "MLmodel" in version["files"]
        assert not [name for name in version["files"] if name.endswith((".pkl", ".pickle", ".pt"))]
    [version] = models["toy-grammar"]["versions"].values()
    assert version["tags"]["variant"] == "rnnlm"


@pytest.mark.long
def test_a_deleted_database_is_rebuilt(toy_study, study):
    (study.folder / "mlflow.db").unlink()
    assert actions(study.run(*TRACK)) == {"created", "set"}
    assert database_state(study.folder) == database_state(toy_study.folder)


@pytest.mark.long
def test_files_that_were_deleted_come_back_and_what_people_set_moves_along(
    toy_study, study, tmp_path
):
    """The models are links here, as where DVC's cache is shared."""
    client, name = MlflowClient(f"sqlite:///{study.folder}/mlflow.db"), "toy-addition"
    before = client.get_model_version_by_alias(name, "peeky")
    client.set_registered_model_alias(name, "talk", before.version)
    client.set_model_version_tag(name, before.version, "remark", "mine")
    client.update_model_version(name, before.version, "in my own words")
    for i, file in enumerate(sorted((study.folder / "data/toy/models").rglob("*.*"))):
        if file.is_file():
            file.rename(tmp_path / str(i))
            file.symlink_to(tmp_path / str(i))
    study.run(*TRACK)
    shutil.rmtree(study.folder / "mlruns")
    assert actions(study.run(*TRACK)) == {"completed", "created", "kept"}
    after = client.get_model_version_by_alias(name, "talk")
    assert after.version != before.version
    assert (after.tags["remark"], after.description) == ("mine", "in my own words")
    assert (
        determined(database_state(study.folder))["runs"]
        == (determined(database_state(toy_study.folder))["runs"])
    )


@pytest.mark.long
def test_tracking_again_in_a_moved_checkout_keeps_the_runs_and_files_beside_it(toy_study, study):
    original = {run.info.run_id for run in all_runs(client_of(toy_study.folder))}
    assert actions(study.run(*TRACK)) == {"kept"}
    here = (study.folder / "mlruns").as_uri()
    client = client_of(study.folder)
    assert {run.info.run_id for run in all_runs(client)} == original
    assert all(run.info.artifact_uri.startswith(here) for run in all_runs(client))
    experiments = [e for e in client.search_experiments() if e.name.startswith("toy-")]
    assert all(e.artifact_location.startswith(here) for e in experiments)
    for model in client.search_registered_models():
        for version in client.search_model_versions(f"name = '{model.name}'"):
            assert client.get_model_version_download_uri(model.name, version.version).startswith(
                here
            )
    assert database_state(study.folder) == database_state(toy_study.folder)


@pytest.mark.long
def test_going_back_points_to_the_original_runs(study):
    study.run(*TRACK)
    original = {r.data.tags[KEY]: r.info.run_id for r in all_runs(client_of(study.folder))}
    before = database_state(study.folder)
    study.edit(PARAMS, *EDIT)
    report = study.folder / "reports/toy/comparison.csv"
    figures = report.read_bytes()
    output = study.run("dvc", "repro", STUDY)
    assert stages(output, "train") == ["train@peeky"]
    assert stages(output, "evaluate") == ["evaluate@peeky"]
    assert stages(output, "generate") == ["generate@peeky"]
    assert " replaced " not in output  # the runs that training began are completed
    assert report.read_bytes() != figures
    edited = {r.data.tags[KEY]: r.info.run_id for r in all_runs(client_of(study.folder))}
    assert len(edited) == len(original) + 3
    assert original.items() <= edited.items()
    study.run("git", "commit", "--quiet", "--all", "--message", "edited")
    study.edit(PARAMS, *reversed(EDIT))
    output = study.run("dvc", "repro", STUDY)
    assert "train@peeky' is cached" in output
    assert stages(output, "train") == []
    # What is in git has no run cache: seconds, and the same bytes.
    assert stages(output, "evaluate") == ["evaluate@peeky"]
    assert report.read_bytes() == figures
    found = {r.data.tags[KEY]: r.info.run_id for r in all_runs(client_of(study.folder))}
    assert found == edited
    after = database_state(study.folder)
    assert {key: after["runs"][key] for key in before["runs"]} == before["runs"]
    assert {n: m["aliases"] for n, m in after["models"].items()} == {
        n: m["aliases"] for n, m in before["models"].items()
    }
    # The same with a new database: restored from the cache, the original runs come back,
    (study.folder / "mlflow.db").unlink()
    study.run(*TRACK)
    assert database_state(study.folder) == before
    # and from an older commit.
    study.run("git", "checkout", "--quiet", "--force", "HEAD")
    study.run("dvc", "checkout", STUDY)
    study.run(*TRACK)
    assert len(database_state(study.folder)["runs"]) == len(original) + 3
    (study.folder / "mlflow.db").unlink()
    study.run("git", "checkout", "--quiet", "HEAD~1")
    study.run("dvc", "checkout", STUDY)
    study.run(*TRACK)
    assert database_state(study.folder) == before


@pytest.mark.long
def test_of_one_seed_more_only_that_is_trained_and_the_runs_of_the_others_stay(study, tmp_path):
    before = {run.info.run_id: run for run in all_runs(client_of(study.folder))}
    study.edit(PARAMS, "seeds: [0, 1]", "seeds: [0, 1, 2]")
    output = study.run("dvc", "repro", STUDY)
    for variant in ("baseline", "peeky"):
        for seed in (0, 1):
            assert f"{variant} seed {seed}: kept, it was trained already" in output
        assert f"{variant}: 1 seeds" in output
    after = {run.info.run_id: run for run in all_runs(client_of(study.folder))}
    assert before.keys() < after.keys()
    new = sorted(run.info.run_name for key, run in after.items() if key not in before)
    assert new == ["baseline", "baseline seed 2", "peeky", "peeky seed 2"]
    for run_id, run in before.items():
        assert after[run_id].data.metrics == run.data.metrics
        assert after[run_id].info.start_time == run.info.start_time
    parents = {r.info.run_name: run_id for run_id, r in after.items() if run_id not in before}
    below = [r for r in after.values() if r.data.tags.get(PARENT) == parents["peeky"]]
    assert {run.data.tags["seed"] for run in below} == {"0", "1", "2"}
    state, fresh = database_state(study.folder), rebuilt(study, tmp_path)
    assert {key: state["runs"][key] for key in fresh["runs"]} == fresh["runs"]
    assert len(fresh["runs"]) == len(before) + 2


@pytest.mark.long
def test_a_training_that_was_killed_leaves_no_trace(study, tmp_path):
    study.edit(PARAMS, *LONGER)
    before = {run.info.run_id for run in all_runs(client_of(study.folder))}
    process = subprocess.Popen(
        ["dvc", "repro", f"{STUDY}:train@peeky"],
        cwd=study.folder,
        env=study.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _wait_for_a_metric(study, before)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    client = client_of(study.folder)
    left = {run.info.run_id for run in all_runs(client)} - before
    assert {client.get_run(run).info.status for run in left} == {"RUNNING"}
    assert "killed" in actions(study.run(*TRACK))
    client = client_of(study.folder)
    assert {client.get_run(run).info.status for run in left} == {"KILLED"}
    study.run("dvc", "repro", f"{STUDY}:track")
    state = database_state(study.folder)
    assert {run["status"] for run in state["runs"].values()} == {"FINISHED"}
    [peeky] = [r for r in state["runs"].values() if r["name"] == "peeky seed 0" and
               r["params"]["epochs"] == "300"]  # fmt: skip
    assert [step for step, _, _ in peeky["metrics"]["train/loss"]] == list(range(1, 301))
    fresh = rebuilt(study, tmp_path)
    assert {key: state["runs"][key] for key in fresh["runs"]} == fresh["runs"]
    assert len(fresh["runs"]) == 8


def _wait_for_a_metric(study, before: set[str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        new = [run for run in all_runs(client_of(study.folder)) if run.info.run_id not in before]
        if any("train/loss" in run.data.metrics for run in new):
            return
        time.sleep(0.3)
    raise AssertionError("training logged nothing")


@pytest.mark.long
def test_a_pull_brings_back_the_runs(toy_study, study, tmp_path):
    study.run("dvc", "remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    study.run("dvc", "push", STUDY)
    study.run("git", "clone", "--quiet", str(study.folder), str(tmp_path / "clone"))
    clone = type(study)(tmp_path / "clone")
    clone.run("dvc", "remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    clone.run("dvc", "pull", STUDY)
    clone.run(*TRACK)
    assert database_state(clone.folder) == database_state(toy_study.folder)


@pytest.mark.long
def test_an_experiment_in_a_temporary_copy_is_tracked_in_the_project(study):
    before = {run.info.run_id for run in all_runs(client_of(study.folder))}
    change = f"{PARAMS}:variants.peeky.decoder=attention"
    study.run("dvc", "exp", "run", STUDY, "--temp", "-S", change)
    new = [r for r in all_runs(client_of(study.folder)) if r.info.run_id not in before]
    assert {run.info.run_name for run in new} == {"peeky", "peeky seed 0", "peeky seed 1"}
    for run in new:
        assert run.info.status == "FINISHED"
        assert run.data.params["decoder"] == "attention"
        assert "test/exact_match" in run.data.metrics
        assert run.data.tags["dvc.experiment"]
        assert run.info.artifact_uri.startswith((study.folder / "mlruns").as_uri())
    shown = pd.read_csv(io.StringIO(study.run("dvc", "exp", "show", "--csv")))
    assert new[0].data.tags["dvc.experiment"] in set(shown["Experiment"])


@pytest.mark.long
def test_a_run_says_how_to_have_its_files_again(toy_study, study, tmp_path):
    client = client_of(study.folder)
    [run] = [r for r in all_runs(client) if r.info.run_name == "peeky seed 1"]
    weights = study.folder / "data/toy/models/peeky/seed-1/weights.safetensors"
    original = weights.read_bytes()
    lock = Path(client.download_artifacts(run.info.run_id, "dvc.lock")).read_bytes()
    study.edit(PARAMS, *EDIT)
    study.run("dvc", "repro", f"{STUDY}:train@peeky")
    assert weights.read_bytes() != original
    study.run("git", "checkout", "--quiet", "--force", run.data.tags["mlflow.source.git.commit"])
    (study.folder / "pipeline/toy/dvc.lock").write_bytes(lock)
    study.run("dvc", "checkout", "data/toy/models/peeky")
    assert weights.read_bytes() == original


def test_a_model_folder_names_its_run(toy_study):
    record = toy_study.folder / "data/toy/models/peeky/seed-1/run.json"
    key = json.loads(record.read_text())["key"]
    [run] = [r for r in all_runs(client_of(toy_study.folder)) if r.data.tags[KEY] == key]
    assert run.info.run_name == "peeky seed 1"


@pytest.mark.long
def test_compare_prints_the_figures_of_dvc_metrics(study):
    printed = study.run("unroll", "--study", "toy", "compare", "--csv")
    table = pd.read_csv(io.StringIO(printed)).set_index("variant")
    files = {v: f"reports/toy/metrics/{v}.json" for v in ("baseline", "peeky", "rnnlm")}
    shown = json.loads(study.run("dvc", "metrics", "show", "--json", *files.values()))
    for variant, file in files.items():
        for metric, value in shown[""]["data"][file]["data"].items():
            assert table.loc[variant, metric] == value
    one = study.run(
        "unroll", "--study", "toy", "compare", "--variant", "peeky", "--metric", "test_exact_match"
    )
    head, row, _, legend = one.splitlines()
    assert head.split() == ["task", "variant", "now", "test_exact_match", "differs", "by"]
    assert row.split()[:3] == ["addition", "peeky", "*"]
    assert legend.startswith("* as the files of this study are")
    error = study.run("unroll", "--study", "toy", "compare", "--task", "adition", fails=True)
    assert "did you mean addition" in error
