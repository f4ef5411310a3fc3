import json

import numpy as np
import pytest

from unroll.storage.files import digest
from unroll.data.prepared import read_counts, read_prepared, write_prepared
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError

REMEDY = "run: dvc repro prepare@sums"
VOCABULARY = Vocabulary(("ö", "<eos>", " "))


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "sums")
    return tmp_path / "sums"


def write(folder, ids=(0, 1, 2)):
    arrays = {"train": np.array(ids), "empty": np.zeros((0, 4), np.int64)}
    write_prepared(folder, "corpus", arrays, VOCABULARY, {"counts": {"train": 3}})


def test_prepared_data_come_back_as_they_were(folder):
    arrays, vocabulary, facts = read_prepared(folder, "corpus", REMEDY)
    assert arrays.keys() == {"train", "empty"}
    assert arrays["train"].tolist() == [0, 1, 2]
    assert arrays["train"].dtype == np.int64
    assert arrays["empty"].shape == (0, 4)
    assert vocabulary == VOCABULARY
    assert facts == {"counts": {"train": 3}}


def test_prepared_data_are_plain_files_without_pickles(folder):
    found = sorted(path.name for path in folder.iterdir())
    assert found == ["arrays.safetensors", "facts.json", "manifest.json", "vocabulary.json"]
    assert json.loads((folder / "vocabulary.json").read_text("utf-8")) == {
        "symbols": ["ö", "<eos>", " "]
    }
    assert json.loads((folder / "facts.json").read_text())["kind"] == "corpus"


def test_same_data_give_the_same_bytes(folder):
    before = digest(folder)
    write(folder)
    assert digest(folder) == before
    write(folder, ids=(0, 2, 1))
    assert digest(folder) != before


def test_data_of_another_kind_are_refused(folder):
    with pytest.raises(DataError) as caught:
        read_prepared(folder, "pairs", REMEDY)
    assert str(caught.value) == f"{folder} does not hold data of the kind pairs; {REMEDY}"


def test_missing_data_are_named_with_remedy(tmp_path):
    with pytest.raises(DataError) as caught:
        read_prepared(tmp_path / "sums", "corpus", REMEDY)
    assert str(caught.value) == f"{tmp_path / 'sums'} is missing or incomplete; {REMEDY}"


@pytest.mark.parametrize("name", ["arrays.safetensors", "facts.json", "vocabulary.json"])
def test_every_changed_file_is_found(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_prepared(folder, "corpus", REMEDY)
    assert str(caught.value).startswith(f"{folder / name} is damaged")
    assert str(caught.value).endswith(REMEDY)


def test_failed_writing_leaves_the_earlier_data(folder):
    before = digest(folder)
    with pytest.raises(TypeError):
        write_prepared(folder, "corpus", {"train": np.arange(2)}, VOCABULARY, {"bad": {1, 2}})
    assert digest(folder) == before
    assert read_prepared(folder, "corpus", REMEDY)[0]["train"].tolist() == [0, 1, 2]
    assert [path.name for path in folder.parent.iterdir()] == ["sums"]


def test_counts_are_those_of_the_facts(tmp_path):
    counts = {"train": 3, "valid": 2, "test": 1}
    arrays = {"train": np.arange(3)}
    write_prepared(tmp_path / "sums", "corpus", arrays, VOCABULARY, {"counts": counts, "a": "b"})
    assert read_counts(tmp_path / "sums", REMEDY) == counts


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"counts": None},
        {"counts": 3},
        {"counts": [3]},
        {"counts": {}},
        {"counts": {"valid": 3}},
        {"counts": {"train": 0}},
        {"counts": {"train": -3}},
        {"counts": {"train": 3.0}},
        {"counts": {"train": "3"}},
        {"counts": {"train": True}},
        {"counts": {"train": 3, "valid": None}},
    ],
    ids=str,
)
def test_facts_without_counts_are_named_with_remedy(folder, facts):
    (folder / "facts.json").write_text(json.dumps(facts))
    with pytest.raises(DataError) as caught:
        read_counts(folder, REMEDY)
    assert str(caught.value) == (
        f"{folder / 'facts.json'} does not say how many items each split has; {REMEDY}"
    )


def test_counts_of_missing_data_are_named_with_remedy(tmp_path):
    with pytest.raises(DataError, match=rf"facts\.json cannot be read \(.*\); {REMEDY}$"):
        read_counts(tmp_path / "sums", REMEDY)
