"""The stage that writes plans, and clears away what is of variants that are gone."""

import json
from pathlib import Path

import pytest

from models.toys import task_section
from unroll.errors import DataError
from unroll.plans.plan import plan_digest, read_plan
from unroll.stages.plan import left_behind, plan, planned
from unroll.storage.files import write_json, write_text
from unroll.storage.folders import new_folder
from unroll.study import load
from unroll.training.sources import sources_digest

TASKS = f"tasks:\n{task_section('sums', 8)}"
PARAMS = f"{TASKS}variants:\n  v-1: {{task: sums}}\n  peeky: {{task: sums, decoder: peeky}}\n"


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return edited(PARAMS)


def edited(text: str):
    Path("params.yaml").write_text(text)
    return load()


def results(study, variant: str) -> set[Path]:
    """Write what the stages leave of a variant in git; return its places."""
    for folder in (study.evaluation(variant), study.generated(variant)):
        with new_folder(folder) as new:
            write_text(new / "some.txt", "1")
    write_json(study.metrics(variant), {"test_exact_match": 0.5})
    return {study.evaluation(variant), study.generated(variant), study.metrics(variant)}


def test_every_variant_has_a_plan_of_each_stage_and_the_report_has_one(study, capsys):
    plan(study)
    folder = study.data / "plans"
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*.json")}
    stages = ("train", "evaluate", "generate")
    expected = {f"{stage}/{name}.json" for stage in stages for name in ("v-1", "peeky")}
    assert files == {"report.json", *expected}
    assert json.loads(study.sources.read_text()) == {"sha256": sources_digest()}
    told = set(capsys.readouterr().out.splitlines())
    assert told == {f"changed: {name}" for name in files}
    trained = read_plan(study.plan("train", "peeky"))
    assert trained["options"]["decoder"] == "peeky"
    assert planned(study, "peeky") == plan_digest(trained)


def test_a_second_time_nothing_has_changed_and_an_edit_changes_what_it_concerns(study, capsys):
    plan(study)
    before = {f: f.read_bytes() for f in (study.data / "plans").rglob("*.json")}
    capsys.readouterr()
    plan(study)
    assert capsys.readouterr().out == ""
    plan(edited(PARAMS.replace("peeky}", "peeky, seeds: [0, 1]}")))
    assert capsys.readouterr().out == "changed: train/peeky.json\n"
    after = {f: f.read_bytes() for f in (study.data / "plans").rglob("*.json")}
    assert {f for f in before if before[f] != after[f]} == {study.plan("train", "peeky")}


def test_another_seed_is_no_other_behaviour(study):
    plan(study)
    one = planned(study, "peeky")
    study = edited(PARAMS.replace("peeky}", "peeky, seeds: [0, 1]}"))
    plan(study)
    assert planned(study, "peeky") == one
    study = edited(PARAMS.replace("peeky}", "peeky, dropout: 0.5}"))
    plan(study)
    assert planned(study, "peeky") != one


def test_a_plan_that_is_missing_or_none_says_how_to_make_it(study):
    for text in (None, "{}", "[", '{"behaviour": 3}'):
        if text is not None:
            write_text(study.plan("train", "peeky"), text)
        with pytest.raises(DataError, match=r"train/peeky\.json.*; run: dvc repro plan$"):
            planned(study, "peeky")


def test_results_of_variants_that_are_gone_are_found_and_no_others(study):
    kept = results(study, "v-1") | results(study, "peeky")
    gone = results(study, "wide") | results(study, "v-2")
    write_text(study.evaluation("v-1").parent / "remark.md", "mine")
    write_text(study.generated("v-1").parent / "notes" / "mine.txt", "mine")
    write_text(study.metrics("v-1").parent / ".gitignore", "")
    with new_folder(study.evaluation("v-1").with_name(".wide.1.unfinished")):
        pass
    found = left_behind(study)
    assert found == sorted(gone)
    assert not kept & set(found)


def test_results_of_variants_that_are_gone_are_removed(study, capsys):
    kept, gone = results(study, "peeky"), results(study, "wide")
    plan(study)
    told = capsys.readouterr().out
    for path in gone:
        assert f"removed: {path} (its variant is no longer in params.yaml)\n" in told
        assert not path.exists()
    assert all(path.exists() for path in kept)
    assert left_behind(study) == []
