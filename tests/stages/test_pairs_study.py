"""A study of somebody's own pairs."""

import shutil
from pathlib import Path

import pytest

from unroll.errors import UserError
from unroll.stages.new_study import new_study
from unroll.stages.pairs_study import params_of
from unroll.storage.yaml import read_yaml
from unroll.study import load

ROOT = Path(__file__).parents[2]
ROWS = [f"I have {i} cats, and you?\tJ'ai {i} chats, et toi ?\tsomebody" for i in range(100)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return a folder with the project's studies and a file of pairs."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    shutil.copytree(ROOT / "pipeline/quick", tmp_path / "pipeline/quick")
    (tmp_path / "my pairs: one.tsv").write_text("\n".join(ROWS) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_study_of_pairs_can_be_used_and_names_its_file(here):
    new_study("cats", "quick", Path("my pairs: one.tsv"))
    study = load("cats")
    assert set(study.variants) == {"plain", "attention"}
    data = study.task("cats").prepare()
    assert data.facts["counts"] == {"train": 80, "valid": 10, "test": 10}
    assert data.form.source.unit == "token"
    header = read_yaml(here / "pipeline/cats/dvc.yaml")["vars"][0]["study"]
    assert header["inputs"] == "my pairs: one.tsv"


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (ROWS, {"from_unit: token", "minimum_count: 1 ", "longest_source: 8 ", "epochs: 40"}),
        ([f"{i}\t{i:x}" for i in range(6000)], {"from_unit: character", "minimum_count: 2 "}),
        ([f"{i} a\t{i:x} b" for i in range(80_000)], {"test: 2000", "epochs: 4", "batch_size: 64"}),
    ],
    ids=["sentences", "words", "many"],
)
def test_its_defaults_fit_the_file(here, rows, found):
    path = here / "rows.tsv"
    path.write_text("\n".join(rows) + "\n")
    text = params_of(path.relative_to(here), "mine")
    assert all(part in text for part in found), text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "is no file"),
        ("one\n", "pair 1 has no tab"),
        ("a\tb\n" * 30, "1 different sources; at least 20"),
        ("", "0 different sources"),
    ],
)
def test_a_file_that_holds_no_pairs_is_refused_and_leaves_nothing(here, text, fault):
    path = here / "mine.tsv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=fault):
        new_study("mine", "quick", Path("mine.tsv"))
    assert not (here / "pipeline/mine").exists()
