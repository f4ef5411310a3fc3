import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from models.toys import pairs, task_section
from unroll.data.pairs import save_pairs
from unroll.errors import DataError
from unroll.storage.files import write_text
from unroll.study import load
from unroll.tracking.lineage import Data, dvc_digest, origin

NAMES = [
    "a.txt",
    "b.txt",
    "B.txt",
    "a/c.txt",
    "a-b.txt",
    "a b/two words.txt",
    "größe.txt",
    "größe/ünten.txt",
    "☑.txt",
    'a "quote".txt',
    ".hidden",
    "deep/er/still.bin",
    "empty",
]

COUNTS = {"train": 20, "valid": 20, "test": 20}

PARAMS = f"""\
tasks:
{task_section("sums", 8)}\
variants:
  plain:
    task: sums
  peeky:
    task: sums
    decoder: peeky
"""

STAGES = """\
stages:
  prepare:
    foreach: [sums]
    do:
      cmd: cp -r made/${item} data/prepared/${item}
      outs:
        - data/prepared/${item}
  train:
    foreach: [plain, peeky]
    do:
      cmd: cp -r made/${item} data/models/${item} && echo > data/seconds-${item}
      deps:
        - data/prepared/sums
      outs:
        - data/seconds-${item}
        - data/models/${item}
"""


def dvc(*arguments: str) -> None:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DVC_")}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        env={**inherited, "DVC_NO_ANALYTICS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def read_yaml(path: Path) -> dict:
    return YAML(typ="safe").load(path)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return a folder in which DVC has made the data and the models of a study."""
    folder = tmp_path_factory.mktemp("a study")
    write_text(folder / "params.yaml", PARAMS)
    write_text(folder / "dvc.yaml", STAGES)
    save_pairs(replace(pairs(), facts={"counts": COUNTS}), folder / "made" / "sums")
    for variant in ("plain", "peeky"):
        for number, name in enumerate(NAMES):
            write_text(folder / "made" / variant / name, f"{variant} {number}\n" * (number % 4))
    for name in ("prepared", "models"):
        (folder / "data" / name).mkdir(parents=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        dvc("init", "--no-scm", "--quiet")
        dvc("repro", "--quiet")
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def study(ran, tmp_path, monkeypatch):
    shutil.copytree(ran, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return load()


def locked(study) -> dict[str, str]:
    """Return the digest of each folder and file, as DVC wrote it in dvc.lock."""
    stages = read_yaml(study.lock_file)["stages"].values()
    return {out["path"]: out["md5"] for stage in stages for out in stage["outs"]}


def test_the_digest_of_a_folder_is_the_one_that_dvc_computes(study):
    for folder in ("data/prepared/sums", "data/models/plain", "data/models/peeky"):
        assert dvc_digest(Path(folder)) == locked(study)[folder]
    assert len({dvc_digest(Path(f"data/models/{v}")) for v in ("plain", "peeky")}) == 2


def test_the_digest_of_an_added_folder_is_the_one_that_dvc_computes(study):
    for name in NAMES:
        write_text(Path("new folder") / "deep" / name, f"{name}\r\n")
    (Path("new folder") / "a folder of nothing").mkdir()
    dvc("add", "--quiet", "new folder")
    [out] = read_yaml(Path("new folder.dvc"))["outs"]
    assert dvc_digest(Path("new folder")) == out["md5"]


def test_the_digest_does_not_depend_on_the_name_of_the_folder(study):
    before = dvc_digest(Path("data/models/plain"))
    Path("data/models/plain").rename("elsewhere")
    assert dvc_digest(Path("elsewhere")) == before


@pytest.mark.parametrize("change", ["content", "name", "new", "gone"])
def test_the_digest_changes_with_every_file(study, change):
    folder = Path("data/models/plain")
    before = dvc_digest(folder)
    file = folder / "deep" / "er" / "still.bin"
    if change == "content":
        file.write_bytes(b"other")
    elif change == "name":
        file.rename(folder / "deep" / "still.bin")
    elif change == "new":
        (folder / "new").write_bytes(b"")
    else:
        file.unlink()
    assert dvc_digest(folder) != before


def test_the_origin_of_a_variant_is_what_dvc_locked(study):
    for variant in ("plain", "peeky"):
        assert origin(study, variant).tags == {
            "dvc.data": locked(study)["data/prepared/sums"],
            "dvc.model": locked(study)[f"data/models/{variant}"],
        }


def test_the_data_are_named_with_their_digest_columns_and_counts(study):
    digest = locked(study)["data/prepared/sums"]
    columns = ("question", "answer")
    expected = Data("sums", digest, "data/prepared/sums", columns, COUNTS)
    assert origin(study, "plain").data == expected


def test_the_excerpt_holds_the_entries_of_the_stages_of_the_variant_alone(study):
    whole = read_yaml(study.lock_file)
    (study.lock_file).write_bytes(origin(study, "plain").files["dvc.lock"])
    assert read_yaml(study.lock_file) == {
        "schema": whole["schema"],
        "stages": {name: whole["stages"][name] for name in ("prepare@sums", "train@plain")},
    }


def test_the_excerpt_is_enough_for_dvc_to_bring_the_folders_back(study):
    found = origin(study, "plain")
    study.lock_file.write_bytes(found.files["dvc.lock"])
    shutil.rmtree(study.prepared("sums"))
    shutil.rmtree(study.model("plain"))
    dvc("checkout", "--quiet", "prepare@sums", "train@plain")
    assert dvc_digest(study.prepared("sums")) == found.tags["dvc.data"]
    assert dvc_digest(study.model("plain")) == found.tags["dvc.model"]


def nothing_but_data(study, variant: str) -> bool:
    found = origin(study, variant)
    digest = dvc_digest(study.prepared("sums"))
    return not found.tags and not found.files and found.data.digest == digest


def test_a_model_that_is_not_as_locked_has_no_tags(study):
    (study.model("plain") / "more.txt").write_text("made by hand")
    assert nothing_but_data(study, "plain")


def test_data_that_are_not_as_locked_have_no_tags(study):
    save_pairs(replace(pairs(), facts={"counts": {**COUNTS, "train": 21}}), study.prepared("sums"))
    assert nothing_but_data(study, "plain")


def test_damaged_data_are_refused(study):
    facts = study.prepared("sums") / "facts.json"
    facts.write_text(facts.read_text().replace("20", "21"))
    with pytest.raises(DataError, match=r"facts\.json is damaged.*; run: dvc repro prepare@sums"):
        origin(study, "plain")


def test_a_change_of_another_variant_does_not_matter(study):
    expected = origin(study, "plain")
    (study.model("peeky") / "more.txt").write_text("made by hand")
    assert nothing_but_data(study, "peeky")
    assert origin(study, "plain") == expected


def test_without_a_model_there_are_no_tags(study):
    shutil.rmtree(study.model("plain"))
    assert nothing_but_data(study, "plain")


def test_without_data_there_is_nothing(study):
    shutil.rmtree(study.prepared("sums"))
    found = origin(study, "plain")
    assert (found.tags, found.files, found.data) == ({}, {}, None)


@pytest.mark.parametrize(
    "text",
    [
        None,
        b"",
        b"[",
        b"- 1\n",
        b"3\n",
        b"\xff\xfe\x00",
        b"schema: '2.0'\n",
        b"schema: '2.0'\nstages:\n",
        b"schema: '2.0'\nstages: []\n",
        b"schema: '2.0'\nstages: [a]\n",
        b"schema: '2.0'\nstages: {}\n",
        b"schema: '2.0'\nstages:\n  prepare@sums:\n",
        b"schema: '2.0'\nstages:\n  prepare@sums: 3\n",
        b"schema: '2.0'\nstages:\n  prepare@sums:\n    outs:\n",
        b"schema: '2.0'\nstages:\n  prepare@sums:\n    outs: [a]\n",
        b"schema: '2.0'\nstages:\n  prepare@sums:\n    outs: 3\n",
        b"schema: '2.0'\nstages:\n  prepare@sums:\n    outs: [{path: [data]}]\n",
        b"schema: '2.0'\nstages:\n  prepare@sums:\n    outs: [{path: data/prepared/sums}]\n",
        b"schema: 2024-13-45\nstages: {}\n",
        b"schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n=======\nstages: {}\n>>>>>>> other\n",
    ],
    ids=[
        "missing",
        "empty",
        "broken",
        "a list",
        "a number",
        "not UTF-8",
        "no stages",
        "empty stages",
        "no stages in a list",
        "stages in a list",
        "none of the stages",
        "empty stage",
        "stage that is a number",
        "empty outs",
        "outs without paths",
        "outs that are a number",
        "out whose path is a list",
        "out without a digest",
        "no such date",
        "unmerged",
    ],
)
def test_without_a_whole_lock_there_are_no_tags(study, text):
    study.lock_file.unlink()
    if text is not None:
        study.lock_file.write_bytes(text)
    assert nothing_but_data(study, "plain")


def test_a_stage_without_its_entry_has_no_tags(study):
    whole = read_yaml(study.lock_file)
    del whole["stages"]["prepare@sums"]
    YAML().dump(whole, study.lock_file)
    assert nothing_but_data(study, "plain")
