import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from models.toys import DIGITS, corpus_options, pairs_options, subject
from unroll.config import VariantOptions
from unroll.data.corpus import EOS
from unroll.data.files import new_folder
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError
from unroll.models.build import Model, build
from unroll.models.initialise import initialise
from unroll.record import (
    Record,
    read_model,
    read_record,
    record_documents,
    seed_folder,
    write_record,
)

REMEDY = "run: dvc repro train@v"
FILES = {"weights.safetensors", "run.json", "vocabulary.json", "history.csv", "facts.json"}
HISTORY = pd.DataFrame(
    {"epoch": [1, 2], "train_loss": [0.1 + 0.2, 1 / 3], "valid_exact_match": [1e-17, 1.0]}
)


def make(options: VariantOptions, symbols: tuple[str, ...]) -> tuple[Record, Model]:
    vocabulary = Vocabulary(symbols)
    model = build(options, vocabulary)
    initialise(model, options.init, seed=3)
    form = {"source_length": 4, "target_length": 5, "start": "_"} if options.kind == "pairs" else {}
    return Record(subject(options), 3, 12, form, vocabulary, HISTORY), model


def pairs_record(**changes) -> tuple[Record, Model]:
    return make(pairs_options(**changes), DIGITS.symbols)


def corpus_record(**changes) -> tuple[Record, Model]:
    return make(corpus_options(**changes), (EOS, "naïve", "☑", '"', "N"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    record, model = pairs_record()
    write_record(tmp_path / "seed-3", record, model)
    return tmp_path / "seed-3"


@pytest.mark.parametrize(
    ("record", "model"),
    [
        pairs_record(),
        pairs_record(decoder="attention", bidirectional=True, layers=2, init="default", clip=0.5),
        corpus_record(layers=2, init="default"),
        corpus_record(tie_weights=True),
    ],
)
def test_what_is_written_is_read_bit_for_bit(tmp_path, record, model):
    write_record(tmp_path / "seed-3", record, model)
    found, found_model = read_model(tmp_path / "seed-3", REMEDY)
    pd.testing.assert_frame_equal(found.history, HISTORY, check_exact=True)
    assert replace(found, history=HISTORY) == record
    weights, found_weights = model.state_dict(), found_model.state_dict()
    assert weights.keys() == found_weights.keys()
    assert all(torch.equal(weights[name], found_weights[name]) for name in weights)
    assert not found_model.training
    tied = getattr(record.options, "tie_weights", False)
    if record.options.kind == "corpus":
        assert (found_model.embedding.weight is found_model.affine.weight) == tied


def test_the_same_record_is_written_in_the_same_bytes(tmp_path, folder):
    record, model = read_model(folder, REMEDY)
    write_record(tmp_path / "again", record, model)
    assert {path.name for path in folder.iterdir()} == FILES | {"manifest.json"}
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_later_record_takes_the_place_of_an_earlier_one(folder):
    record, model = pairs_record(layers=2)
    write_record(folder, replace(record, seed=4), model)
    assert read_record(folder, REMEDY).seed == 4
    assert [path.name for path in folder.parent.iterdir()] == ["seed-3"]


def test_a_record_that_cannot_be_written_leaves_the_earlier_one(folder):
    record, model = pairs_record(layers=2)
    with pytest.raises(TypeError):
        write_record(folder, replace(record, seed=4, form={"not JSON": object()}), model)
    assert read_record(folder, REMEDY).seed == 3
    assert [path.name for path in folder.parent.iterdir()] == ["seed-3"]


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_damaged_file_is_refused_by_name(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} is damaged.*{REMEDY}"):
        read_model(folder, REMEDY)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_refused_by_name(folder, name):
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing.*{REMEDY}"):
        read_model(folder, REMEDY)


@pytest.mark.parametrize("left", [[], sorted(FILES)], ids=["nothing", "no manifest"])
def test_a_folder_that_is_not_a_whole_record_is_refused(folder, left):
    for path in folder.iterdir():
        if path.name not in left:
            path.unlink()
    with pytest.raises(DataError, match=rf"seed-3 is missing or incomplete.*{REMEDY}"):
        read_record(folder, REMEDY)
    with pytest.raises(DataError, match="missing or incomplete"):
        read_record(folder.parent / "nowhere", REMEDY)


def test_a_record_of_another_schema_is_refused(folder):
    other = folder.parent / "other"
    with new_folder(other) as new:
        shutil.copytree(folder, new, dirs_exist_ok=True, ignore=lambda *_: ["manifest.json"])
        text = (new / "run.json").read_text()
        assert json.loads(text)["schema"] == 1
        (new / "run.json").write_text(text.replace('"schema": 1', '"schema": 2'))
    with pytest.raises(DataError, match=rf"other has schema 2 instead of 1; {REMEDY}"):
        read_record(other, REMEDY)


@pytest.mark.parametrize(
    "change", [{"hidden_size": 6}, {"layers": 2}, {"decoder": "peeky"}, {"cell": "gru"}], ids=str
)
def test_weights_that_do_not_fit_the_options_are_refused(folder, change):
    record, _ = pairs_record()
    _, other = pairs_record(**change)
    write_record(folder, record, other)
    with pytest.raises(DataError, match=rf"seed-3: the weights do not fit.*{REMEDY}"):
        read_model(folder, REMEDY)


def test_names_of_a_record(folder):
    assert seed_folder(Path("models"), 12) == Path("models/seed-12")
    assert all(document.is_file() for document in record_documents(folder))
