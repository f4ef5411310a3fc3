"""The plans that git holds are those that this code makes, on this machine too."""

import contextlib

import pytest

from conftest import ROOT
from unroll.plans.plan import read_plan
from unroll.stages.plan import plans
from unroll.study import load, studies

with contextlib.chdir(ROOT):
    NAMES = studies()


@pytest.mark.parametrize("name", NAMES)
def test_committed_plans_are_those_of_this_code(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = load(name)
    folder = study.report_plan.parent
    made = plans(study)
    held = {p.relative_to(folder).as_posix(): read_plan(p) for p in folder.rglob("*.json")}
    assert held.keys() == made.keys()
    for path, plan in made.items():
        assert held[path] == plan, f"{folder / path}: run dvc repro, or unroll plan, and commit it"
