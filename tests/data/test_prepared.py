import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from unroll.data.corpus import CorpusForm
from unroll.data.pairs import PairsForm
from unroll.data.prepared import (
    check_ids,
    check_sequences,
    read_counts,
    read_form,
    read_prepared,
    write_prepared,
)
from unroll.data.sequences import Sequences
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError
from unroll.storage.files import write_mapped
from unroll.storage.folders import digest, new_folder

FORM = CorpusForm(vocabulary=Vocabulary(["ö", "<eos>", " "], special={"end": "<eos>"}))
LINES = Sequences(np.array([[0, 1, 2], [2, 2, 0]]), np.array([2, 3]))
FACTS = {"counts": {"train": 3}}
FILES = ["facts.json", "form.json", "lines.lengths.npy", "lines.npy", "manifest.json", "train.npy"]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "sums")
    return tmp_path / "sums"


def write(folder, ids=(0, 1, 2)):
    arrays = {"train": np.array(ids)}
    write_prepared(folder, "corpus", FORM, FACTS, {"lines": LINES}, arrays)


def test_prepared_data_come_back_as_they_were(folder):
    form, facts, arrays = read_prepared(folder, "corpus", CorpusForm)
    assert arrays.keys() == {"train", "lines", "lines.lengths"}
    assert arrays["train"].tolist() == [0, 1, 2]
    assert arrays["lines"].tolist() == LINES.ids.tolist()
    assert arrays["lines.lengths"].tolist() == [2, 3]
    assert all(array.dtype == np.int32 for array in arrays.values())
    assert (form, facts) == (FORM, FACTS)


def test_arrays_are_mapped_and_not_read(folder):
    _, _, arrays = read_prepared(folder, "corpus", CorpusForm)
    for name, array in arrays.items():
        assert isinstance(array, np.memmap)
        assert Path(array.filename).samefile(folder / f"{name}.npy")


def test_prepared_data_are_plain_files_without_pickles(folder):
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert json.loads((folder / "form.json").read_text("utf-8")) == {
        "vocabulary": {
            "symbols": ["ö", "<eos>", " "],
            "special": {"end": "<eos>"},
            "unit": "character",
        }
    }
    assert json.loads((folder / "facts.json").read_text()) == {"kind": "corpus", **FACTS}
    assert (folder / "train.npy").read_bytes()[:6] == b"\x93NUMPY"
    assert (folder / "train.npy").read_bytes()[-12:] == np.arange(3, dtype="<i4").tobytes()


def test_same_data_give_the_same_bytes(folder):
    before = digest(folder)
    write(folder)
    assert digest(folder) == before
    write(folder, ids=(0, 2, 1))
    assert digest(folder) != before


@pytest.mark.parametrize("kind", ["pairs", "Corpus", ""])
def test_data_of_another_kind_are_refused(folder, kind):
    with pytest.raises(DataError) as caught:
        read_prepared(folder, kind, CorpusForm)
    assert str(caught.value) == f"{folder} does not hold data of the kind {kind}"


def test_missing_data_are_named(tmp_path):
    with pytest.raises(DataError) as caught:
        read_prepared(tmp_path / "sums", "corpus", CorpusForm)
    assert str(caught.value) == f"{tmp_path / 'sums'} is missing or incomplete"


@pytest.mark.parametrize("name", [name for name in FILES if name != "manifest.json"])
def test_every_changed_file_is_found(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_prepared(folder, "corpus", CorpusForm)
    assert str(caught.value).startswith(f"{folder / name} is damaged")


def test_failed_writing_leaves_the_earlier_data(folder):
    before = digest(folder)
    with pytest.raises(TypeError):
        write_prepared(folder, "corpus", FORM, {"bad": {1, 2}}, {}, {"train": np.arange(2)})
    assert digest(folder) == before
    assert read_prepared(folder, "corpus", CorpusForm)[2]["train"].tolist() == [0, 1, 2]
    assert [path.name for path in folder.parent.iterdir()] == ["sums"]


def test_hidden_file_that_a_desktop_left_is_no_array(folder):
    shutil.copy(folder / "train.npy", folder / "._train.npy")
    assert "._train" not in read_prepared(folder, "corpus", CorpusForm)[2]


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def with_array(folder, content):
    """Return prepared data with a right manifest in which an array holds these bytes."""
    other = folder.with_name("other")
    with new_folder(other) as new:
        shutil.copytree(folder, new, dirs_exist_ok=True, ignore=lambda *_: ["manifest.json"])
        content(new / "train.npy")
    return other


def test_pickled_objects_are_refused_and_never_run(folder, tmp_path):
    def write_objects(path):
        np.save(path, np.array([Trap(tmp_path / "executed")], dtype=object), allow_pickle=True)

    other = with_array(folder, write_objects)
    with pytest.raises(DataError, match=r"train\.npy cannot be read \(.*Python objects"):
        read_prepared(other, "corpus", CorpusForm)
    assert not (tmp_path / "executed").exists()
    np.load(other / "train.npy", allow_pickle=True)  # the trap is a real one
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(3, dtype=np.int64),
        np.arange(3, dtype=">i4"),
        np.arange(3, dtype=np.uint32),
        np.zeros(3, np.float32),
        np.array(["a"]),
        np.zeros(0, np.int32),
        np.zeros((0, 4), np.int32),
        np.zeros(3, [("a", np.int32)]),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_array_that_is_empty_or_of_other_numbers_is_refused(folder, array):
    other = with_array(folder, lambda path: write_mapped(path, array))
    with pytest.raises(DataError) as caught:
        read_prepared(other, "corpus", CorpusForm)
    assert str(caught.value) == (f"{other / 'train'}.npy is empty or holds numbers that are no ids")


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({}, "vocabulary: Field required"),
        ({"vocabulary": {"symbols": []}}, "vocabulary.symbols: List should have at least 1 item"),
        ({"vocabulary": {"symbols": ["a"]}}, ": Value error, the vocabulary has no word that ends"),
        (
            {"vocabulary": {"symbols": ["a"], "special": {"end": "b"}}},
            "vocabulary: Value error, the vocabulary lacks 'b', its symbol for end",
        ),
        (
            {"vocabulary": {"symbols": ["a", "a"], "special": {"end": "a"}}},
            "vocabulary: Value error, a vocabulary holds the same symbol twice",
        ),
        ({**FORM.model_dump(), "more": 1}, "more: Extra inputs are not permitted"),
    ],
)
def test_what_is_no_form_is_refused_with_the_place(folder, document, fault):
    (folder / "form.json").write_text(json.dumps(document))
    with pytest.raises(DataError) as caught:
        read_form(folder, CorpusForm)
    assert str(caught.value).startswith(f"{folder / 'form.json'} holds no form of data ({fault}")


def test_form_of_another_kind_is_refused(folder):
    assert read_form(folder, CorpusForm) == FORM
    with pytest.raises(DataError, match=r"form\.json holds no form of data \(source: Field req"):
        read_form(folder, PairsForm)


def arrays(**changes):
    found = {"a": LINES.ids, "a.lengths": LINES.lengths, **changes}
    return {name: array for name, array in found.items() if array is not None}


def test_sequences_are_put_together_with_their_lengths(tmp_path):
    found = check_sequences(tmp_path, arrays(), {"a": (3, 3)})
    assert found.keys() == {"a"}
    assert found["a"].ids is LINES.ids
    assert found["a"].lengths is LINES.lengths


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"b": LINES.ids}, " does not hold the arrays that it should (b)"),
        ({"a": None}, " does not hold the arrays that it should (a)"),
        ({"a.lengths": None, "b": LINES.ids}, " does not hold the arrays that it should (a.leng"),
        ({"a": LINES.ids[0]}, ": a is not of the shape that form.json says"),
        ({"a": LINES.ids[None]}, ": a is not of the shape that form.json says"),
        ({"a": np.int32(3)}, ": a is not of the shape that form.json says"),
        ({"a": LINES.ids[:, :2]}, ": a is not of the shape that form.json says"),
        ({"a.lengths": LINES.lengths[:1]}, ": a is not of the shape that form.json says"),
        ({"a.lengths": LINES.ids}, ": a is not of the shape that form.json says"),
        ({"a": LINES.ids + 1}, ": a holds ids of no symbol"),
        ({"a": LINES.ids - 1}, ": a holds ids of no symbol"),
        ({"a.lengths": np.array([2, 4])}, ": a holds lengths that no sequence can have"),
        ({"a.lengths": np.array([0, 3])}, ": a holds lengths that no sequence can have"),
    ],
)
def test_what_are_no_sequences_are_refused_with_their_name(tmp_path, changes, fault):
    with pytest.raises(DataError) as caught:
        check_sequences(tmp_path, arrays(**changes), {"a": (3, 3)})
    assert str(caught.value).startswith(f"{tmp_path}{fault}")


@pytest.mark.parametrize("place", [0, 99_999, 100_000, 199_999, 200_000, 200_001])
@pytest.mark.parametrize("wrong", [-1, 5])
def test_a_wrong_id_is_found_wherever_it_stands(tmp_path, place, wrong):
    ids = np.zeros(200_002, np.int32)
    ids[-1] = 4
    check_ids(tmp_path, "a", ids, 5)
    ids[place] = wrong
    with pytest.raises(DataError, match="a holds ids of no symbol"):
        check_ids(tmp_path, "a", ids, 5)


def test_counts_are_those_of_the_facts(tmp_path):
    counts = {"train": 3, "valid": 2, "test": 1}
    facts = {"counts": counts, "a": "b"}
    write_prepared(tmp_path / "sums", "corpus", FORM, facts, {}, {"train": np.arange(3)})
    assert read_counts(tmp_path / "sums") == counts


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
def test_facts_without_counts_are_named(folder, facts):
    (folder / "facts.json").write_text(json.dumps(facts))
    with pytest.raises(DataError) as caught:
        read_counts(folder)
    assert str(caught.value) == (
        f"{folder / 'facts.json'} does not say how many items each split has"
    )


def test_counts_of_missing_data_are_named(tmp_path):
    with pytest.raises(DataError, match=r"facts\.json cannot be read \(.*\)$"):
        read_counts(tmp_path / "sums")
