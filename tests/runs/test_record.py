import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from models.toys import DIGITS, corpus_options, pairs_options, subject
from unroll.options import VariantOptions
from unroll.data.corpus import EOS
from unroll.storage.files import new_folder
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError
from unroll.models.build import Model, build
from unroll.models.initialise import initialise
from unroll.runs.record import (
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


def altered(folder: Path, name: str, change) -> Path:
    """Return a record with a right manifest in which the text of a file is changed."""
    other = folder.parent / "other"
    with new_folder(other) as new:
        shutil.copytree(folder, new, dirs_exist_ok=True, ignore=lambda *_: ["manifest.json"])
        text = change((new / name).read_text(encoding="utf-8"))
        (new / name).write_text(text, encoding="utf-8")
    return other


def with_value(place: str, value):
    """Return a change of a JSON text: `place` gets a value, or goes where it is `...`."""

    def change(text: str) -> str:
        document = json.loads(text)
        *outer, key = place.split(".")
        part = document
        for name in outer:
            part = part[name]
        part.pop(key, None)
        if value is not ...:
            part[key] = value
        return json.dumps(document)

    return change


def refused(folder: Path) -> str:
    """Return the message with which a record is refused."""
    with pytest.raises(DataError) as caught:
        read_record(folder, REMEDY)
    return str(caught.value)


def test_an_unaltered_copy_is_read(folder):
    assert read_record(altered(folder, "run.json", lambda text: text), REMEDY).seed == 3


@pytest.mark.parametrize(
    ("name", "place", "value", "fault"),
    [
        ("run.json", "study", ..., "RunDocument, study: Field required"),
        ("run.json", "options", ..., "RunDocument, options: Field required"),
        ("run.json", "more", 1, "RunDocument, more: Extra inputs are not permitted"),
        ("run.json", "seed", "3", "RunDocument, seed: Input should be a valid integer"),
        ("run.json", "seed", -1, "RunDocument, seed: Input should be greater than or equal to 0"),
        ("run.json", "seed", True, "RunDocument, seed: Input should be a valid integer"),
        ("run.json", "variant", None, "RunDocument, variant: Input should be a valid string"),
        ("run.json", "kind", "words", "RunDocument, kind: Input should be 'pairs' or 'corpus'"),
        ("run.json", "form", [], "RunDocument, form: Input should be a valid dictionary"),
        ("run.json", "form", {}, "PairsForm, source_length: Field required"),
        ("run.json", "form.source_length", 4.5, "PairsForm, source_length: Input should be a val"),
        ("run.json", "form.source_length", 0, "PairsForm, source_length: Input should be greater"),
        ("run.json", "form.target_length", ..., "PairsForm, target_length: Field required"),
        ("run.json", "form.target_length", 1, "PairsForm, target_length: Input should be greater"),
        ("run.json", "form.start", ..., "PairsForm, start: Field required"),
        ("run.json", "form.start", 0, "PairsForm, start: Input should be a valid string"),
        ("run.json", "form.more", 1, "PairsForm, more: Extra inputs are not permitted"),
        ("run.json", "data_digest", "ab" * 31, "RunDocument, data_digest: String should match"),
        ("run.json", "data_digest", "AB" * 32, "RunDocument, data_digest: String should match"),
        ("run.json", "sources_digest", "xy" * 32, "RunDocument, sources_digest: String should match"),
        ("run.json", "sources_digest", "cd" * 32 + "\n", "RunDocument, sources_digest: String should"),
        ("run.json", "options.dropuot", 0.1, "PairsOptions, dropuot: Extra inputs are not"),
        ("run.json", "options.epochs", ..., "PairsOptions, epochs: Field required"),
        ("run.json", "options.epochs", "2", "PairsOptions, epochs: Input should be a valid int"),
        ("facts.json", "parameters", ..., "FactsDocument, parameters: Field required"),
        ("facts.json", "parameters", 0, "FactsDocument, parameters: Input should be greater"),
        ("facts.json", "environment", {"a": None}, "FactsDocument, environment.a"),
        ("facts.json", "seconds", 1.5, "FactsDocument, seconds: Extra inputs are not permitted"),
        ("vocabulary.json", "symbols", [], "VocabularyDocument, symbols: List should have at"),
        ("vocabulary.json", "symbols", ["a", 1], "VocabularyDocument, symbols.1: Input should"),
        ("vocabulary.json", "symbols", ..., "VocabularyDocument, symbols: Field required"),
    ],
)
def test_a_document_of_another_form_is_refused_by_its_first_fault(
    folder, name, place, value, fault
):
    message = refused(other := altered(folder, name, with_value(place, value)))
    assert message.startswith(f"{other} is no run record ({fault}")
    assert message.endswith(f"); {REMEDY}")


def test_the_shortest_answer_has_a_start_and_one_symbol(folder):
    other = altered(folder, "run.json", with_value("form.target_length", 2))
    assert read_record(other, REMEDY).form["target_length"] == 2


@pytest.mark.parametrize("schema", [..., None, 2, "1", 0])
def test_a_record_without_its_schema_is_refused(folder, schema):
    other = altered(folder, "run.json", with_value("schema", schema))
    with pytest.raises(DataError, match=rf"other has schema .* instead of 1; {REMEDY}$"):
        read_record(other, REMEDY)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("run.json", "key", "0" * 16),
        ("run.json", "study", "quick"),
        ("run.json", "variant", "other"),
        ("run.json", "seed", 4),
        ("run.json", "data_digest", "ac" * 32),
        ("run.json", "sources_digest", "ce" * 32),
        ("run.json", "options.hidden_size", 5),
        ("facts.json", "environment.threads", 2),
    ],
)
def test_a_record_whose_key_is_not_that_of_its_content_is_refused(folder, name, place, value):
    other = altered(folder, name, with_value(place, value))
    with pytest.raises(DataError, match=rf"other: the key in run\.json is not that.*{REMEDY}$"):
        read_record(other, REMEDY)


def test_the_other_seeds_of_the_variant_are_no_part_of_the_key(folder):
    other = altered(folder, "run.json", with_value("options.seeds", [3, 8]))
    assert read_record(other, REMEDY).options.seeds == [3, 8]


@pytest.mark.parametrize(
    "text",
    [
        "epoch,train_loss\n1,0.5\n2,much\n",
        "epoch,train_loss\n1,0.5\ntwo,0.25\n",
        "epoch,train_loss\n1,0.5\n,0.25\n",
        "epoch,train_loss\n1,0.5\n3,0.25\n",
        "epoch,train_loss\n1,0.5\n1,0.25\n",
        "epoch,train_loss\n0,0.5\n1,0.25\n",
        "epoch,train_loss\n2,0.5\n1,0.25\n",
        "train_loss\n0.5\n",
        "epoch,train_loss\n",
        "epoch,train_loss\n1,0.5\n2,\n",
        "epoch,train_loss,valid_exact_match\n1,,0.5\n2,0.5,0.75\n",
        "epoch,train_loss,valid_exact_match\n1,0.5,\n2,0.5,\n",
    ],
    ids=[
        "text in place of a loss",
        "text in place of an epoch",
        "no epoch",
        "epoch left out",
        "epoch twice",
        "epoch 0",
        "turned round",
        "no epochs",
        "no rows",
        "no loss",
        "no loss at first",
        "a metric without values",
    ],
)
def test_a_history_that_is_no_row_of_numbers_per_epoch_is_refused(folder, text):
    other = altered(folder, "history.csv", lambda _: text)
    with pytest.raises(DataError, match=rf"history\.csv (does not hold|lacks an epoch).*{REMEDY}$"):
        read_record(other, REMEDY)


@pytest.mark.parametrize("text", ["", "epoch,train_loss\n1,0.5\n2,0.5,3,4\n"])
def test_a_history_that_is_no_table_is_refused(folder, text):
    other = altered(folder, "history.csv", lambda _: text)
    with pytest.raises(DataError, match=rf"(?s)history\.csv cannot be read \(.*{REMEDY}$"):
        read_record(other, REMEDY)


def test_a_symbol_that_stands_twice_is_refused_with_the_way_out(folder):
    symbols = ["_", " ", "1", "1"]
    other = altered(folder, "vocabulary.json", with_value("symbols", symbols))
    assert refused(other) == (
        f"{other} is no run record (a vocabulary holds the same symbol twice); {REMEDY}"
    )


@pytest.mark.parametrize(
    ("name", "place", "value", "symbol"),
    [
        ("vocabulary.json", "symbols", ["_", *"0123456789"], "' '"),
        ("vocabulary.json", "symbols", [" ", *"0123456789"], "'_'"),
        ("vocabulary.json", "symbols", ["<eos>"], "' '"),
        ("run.json", "form.start", "=", "'='"),
        ("run.json", "form.start", "", "''"),
    ],
)
def test_a_record_of_pairs_that_lacks_a_symbol_is_refused(folder, name, place, value, symbol):
    other = altered(folder, name, with_value(place, value))
    assert refused(other) == (
        f"{other} is no run record (vocabulary.json lacks the symbol {symbol}); {REMEDY}"
    )


@pytest.mark.parametrize(
    ("name", "place", "value", "fault"),
    [
        ("vocabulary.json", "symbols", ["a", "b"], "vocabulary.json lacks the symbol '<eos>'"),
        ("vocabulary.json", "symbols", ["_", " "], "vocabulary.json lacks the symbol '<eos>'"),
        ("run.json", "form", {"start": "_"}, "CorpusForm, start: Extra inputs are not permitted"),
    ],
)
def test_a_record_of_a_corpus_with_another_form_is_refused(tmp_path, name, place, value, fault):
    record, model = corpus_record()
    write_record(tmp_path / "seed-3", record, model)
    other = altered(tmp_path / "seed-3", name, with_value(place, value))
    assert refused(other) == f"{other} is no run record ({fault}); {REMEDY}"


@pytest.mark.parametrize("name", ["run.json", "facts.json", "vocabulary.json"])
def test_a_document_that_is_no_json_object_is_refused(folder, name):
    other = altered(folder, name, lambda _: "[]")
    with pytest.raises(DataError, match=rf"{name}: expected a JSON object; {REMEDY}$"):
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
