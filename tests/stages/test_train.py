"""The stage that trains: what it keeps, what it refuses, what it leaves."""

import os
import shutil
from pathlib import Path

import pytest

from unroll.errors import DataError
from unroll.runs.record import read_record
from unroll.runs.trained import trained
from unroll.stages.plan import plan, planned
from unroll.stages.prepare import prepare
from unroll.stages.size import size
from unroll.stages.train import jobs_of, train
from unroll.storage.files import write_json
from unroll.study import load
from unroll.training.sources import sources_digest

PARAMS = """\
compute: {device: cpu, precision: float32, workers: 2}
tasks:
  sums:
    data: {kind: addition, max_digits: 1, train: 30, valid: 10, test: 10}
    defaults:
      seeds: [0, 1]
      embedding_size: 4
      hidden_size: 8
      epochs: 2
      batch_size: 5
      optimizer: adam
      learning_rate: 0.01
variants:
  plain: {task: sums}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return a folder in which a variant was trained, without MLflow."""
    folder, before = tmp_path_factory.mktemp("a study"), Path.cwd()
    away = pytest.MonkeyPatch()
    away.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    os.chdir(folder)
    try:
        study = edited(PARAMS)
        plan(study)
        prepare(study, "sums")
        size(study, "sums")
        train(study, "plain")
    finally:
        os.chdir(before)
        away.undo()
    return folder


@pytest.fixture
def study(ran, tmp_path, monkeypatch):
    shutil.copytree(ran, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    for name in [name for name in os.environ if name.startswith("DVC_")]:
        monkeypatch.delenv(name)
    return load()


def edited(text: str):
    Path("params.yaml").write_text(text)
    return load()


def files(study, seed: int) -> dict[str, tuple[int, bytes]]:
    """Return time and content of what a seed has left."""
    folders = [of("plain") / f"seed-{seed}" for of in (study.model, study.circumstances)]
    found = [file for folder in folders for file in folder.iterdir()]
    return {file.as_posix(): (file.stat().st_mtime_ns, file.read_bytes()) for file in found}


def weights(study, seed: int) -> tuple[int, bytes]:
    [found] = [v for name, v in files(study, seed).items() if name.endswith(".safetensors")]
    return found


def test_what_a_training_leaves(study):
    for seed in (0, 1):
        record = read_record(study.model("plain") / f"seed-{seed}")
        assert record.subject.plan == planned(study, "plain")
        names = {Path(name).name for name in files(study, seed)}
        assert names == {
            "weights.safetensors", "run.json", "form.json", "history.csv", "facts.json",
            "manifest.json", "epochs.csv", "session.json", "uncommitted.diff",
        }  # fmt: skip
    assert weights(study, 0)[1] != weights(study, 1)[1]


def test_a_training_that_is_there_is_kept_as_it_is(study, capfd):
    before = files(study, 0) | files(study, 1)
    train(study, "plain")
    assert files(study, 0) | files(study, 1) == before
    assert capfd.readouterr().out.splitlines() == [
        f"plain seed {seed}: kept, it was trained already" for seed in (0, 1)
    ]


def test_of_one_seed_more_only_that_is_trained(study, capfd):
    before = {seed: weights(study, seed)[1] for seed in (0, 1)}
    noted = {seed: files(study, seed) for seed in (0, 1)}
    study = edited(PARAMS.replace("[0, 1]", "[0, 1, 2]"))
    plan(study)
    train(study, "plain")
    told = capfd.readouterr().out
    assert "plain seed 0: kept" in told and "plain seed 1: kept" in told
    assert "plain: 1 seeds" in told
    assert {seed: weights(study, seed)[1] for seed in (0, 1)} == before
    circumstances = study.circumstances("plain").as_posix()
    for seed in (0, 1):
        after = files(study, seed)
        assert after.keys() == noted[seed].keys()
        rewritten = {name for name in after if after[name][1] != noted[seed][name][1]}
        assert {Path(name).name for name in rewritten} == {"run.json", "manifest.json"}
        untouched = {name for name in after if name.startswith(circumstances)}
        assert {n: after[n] for n in untouched} == {n: noted[seed][n] for n in untouched}
    # All are those of one training, as if they had been trained together.
    records = trained(study, "plain")
    assert [record.seed for record in records] == [0, 1, 2]
    assert {record.subject for record in records if record.options.seeds != [0, 1, 2]} == set()


def test_what_was_left_beside_a_seed_that_is_kept_is_removed(study):
    for folder in (study.model("plain"), study.circumstances("plain")):
        shutil.copytree(folder / "seed-0", folder / f".seed-0.{os.getpid()}.earlier")
    train(study, "plain")
    for folder in (study.model("plain"), study.circumstances("plain")):
        assert sorted(inner.name for inner in folder.iterdir()) == ["seed-0", "seed-1"]


def test_a_seed_that_is_no_longer_asked_for_is_removed(study, capfd):
    before = weights(study, 1)[1]
    study = edited(PARAMS.replace("[0, 1]", "[1]"))
    train(study, "plain")
    assert capfd.readouterr().out == "plain seed 1: kept, it was trained already\n"
    for folder in (study.model("plain"), study.circumstances("plain")):
        assert [inner.name for inner in folder.iterdir()] == ["seed-1"]
    assert weights(study, 1)[1] == before
    [record] = trained(study, "plain")
    assert record.options.seeds == [1]


@pytest.mark.parametrize("what", ["weights", "circumstances"])
def test_a_seed_that_is_damaged_is_trained_anew_to_the_same_bits(study, what):
    kept, before = files(study, 0), weights(study, 1)
    if what == "weights":
        file = study.model("plain") / "seed-1" / "weights.safetensors"
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    else:
        shutil.rmtree(study.circumstances("plain") / "seed-1")
    train(study, "plain")
    assert files(study, 0) == kept
    after = weights(study, 1)
    assert (after[0] != before[0], after[1]) == (True, before[1])


def test_seeds_of_another_behaviour_are_trained_anew(study, capfd):
    study = edited(PARAMS.replace("epochs: 2", "epochs: 1"))
    plan(study)
    train(study, "plain")
    assert "kept" not in capfd.readouterr().out
    assert [len(record.history) for record in trained(study, "plain")] == [1, 1]


def test_a_plan_of_other_sources_is_refused_and_what_is_there_stays(study):
    before = files(study, 0) | files(study, 1)
    write_json(study.sources, {"sha256": "0" * 64})
    with pytest.raises(DataError) as caught:
        train(study, "plain")
    assert str(caught.value) == (
        "the sources in src/unroll were changed since the plans were made; run: dvc repro plan"
    )
    assert files(study, 0) | files(study, 1) == before
    write_json(study.sources, {"sha256": sources_digest()})
    assert len(jobs_of(study, "plain")) == 2


@pytest.mark.parametrize(
    ("missing", "stage"),
    [
        ("data/plans/train/plain.json", "plan"),
        ("data/sources.json", "plan"),
        ("data/prepared/sums/manifest.json", "prepare@sums"),
        ("data/sizes/sums/plain.json", "size@sums"),
    ],
)
def test_what_a_training_needs_says_how_to_make_it(study, missing, stage):
    Path(missing).unlink()
    with pytest.raises(DataError, match=rf"; run: dvc repro {stage}$"):
        train(study, "plain")
