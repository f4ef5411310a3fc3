"""A run's record with its network: what was trained is what is read."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.toys import FORM, corpus_options, labels_options, pairs_options, ragged
from models.toys import trained as toy_trained
from mutants.variants import VARIANTS
from unroll.data.corpus import EOS, CorpusForm
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError
from unroll.kinds import kind_of
from unroll.models.initialise import initialise
from unroll.options import OPTIONS
from unroll.runs.model import TrainedModel, read_model, write_model
from unroll.runs.record import read_record
from unroll.storage.folders import new_folder
from unroll.tasks.brackets import Brackets, BracketsOptions
from unroll.tasks.captions import CaptionsDataOptions, CaptionsTask
from unroll.tasks.dialogue import Dialogue, DialogueOptions
from unroll.tasks.text import Text, TextOptions

FILES = {"weights.safetensors", "run.json", "form.json", "history.csv", "facts.json"}
WORDS = CorpusForm(
    vocabulary=Vocabulary((EOS, "naïve", "☑", '"', "N"), special={"end": EOS}, unit="word")
)
TASKS: dict = {
    "pairs": None,
    "replies": Dialogue(DialogueOptions(kind="dialogue")),
    "captions": CaptionsTask(CaptionsDataOptions(kind="captions")),
    "labels": Brackets(BracketsOptions(kind="brackets")),
    "corpus": Text(TextOptions(kind="text", source="grammar")),
}
LABELS = kind_of(labels_options()).made_up(labels_options()).form


def make(options, form, task=None) -> TrainedModel:
    model = kind_of(options).build(options, form)
    initialise(model, options.init, seed=3)
    return toy_trained(model, options, form, task)


def pairs(form=FORM, **changes) -> TrainedModel:
    return make(pairs_options(**changes), form)


def corpus(**changes) -> TrainedModel:
    task = Text(TextOptions(kind="text", source="grammar"))
    return make(corpus_options(**changes), WORDS, task)


def labels(**changes) -> TrainedModel:
    return make(labels_options(**changes), LABELS, Brackets(BracketsOptions(kind="brackets")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "seed-3", pairs())
    return tmp_path / "seed-3"


@pytest.mark.parametrize(
    "trained",
    [
        pairs(),
        pairs(decoder="attention", bidirectional=True, layers=2, init="default", clip=0.5),
        pairs(ragged().form, decoder="peeky", cell="gru", padding="masked"),
        corpus(layers=2, init="default"),
        corpus(tie_weights=True),
        labels(bidirectional=True),
        labels(pooling="attention", layers=2),
    ],
    ids=lambda trained: trained.options.kind,
)
def test_what_is_written_is_read_bit_for_bit(tmp_path, trained):
    write_model(tmp_path / "seed-3", trained)
    found = read_model(tmp_path / "seed-3")
    assert found.form == trained.form
    assert found.options == trained.options
    assert found.task.options == trained.task.options
    assert found.record.key == trained.record.key
    weights, found_weights = trained.model.state_dict(), found.model.state_dict()
    assert weights.keys() == found_weights.keys()
    assert all(torch.equal(weights[name], found_weights[name]) for name in weights)
    assert not found.model.training
    tied = getattr(trained.options, "tie_weights", False)
    if trained.options.kind == "corpus":
        assert (found.model.embedding.weight is found.model.affine.weight) == tied


@pytest.mark.parametrize("name", VARIANTS)
def test_a_model_with_any_option_is_written_and_read(tmp_path, name):
    kind, asked = VARIANTS[name]
    options = OPTIONS[kind].model_validate(asked)
    form = kind_of(options).form(kind_of(options).made_up(options))
    written = make(options, form, TASKS[kind])
    write_model(tmp_path / "record", written)
    found = dict(read_model(tmp_path / "record").model.named_parameters())
    expected = dict(written.model.named_parameters())
    assert found.keys() == expected.keys()
    assert all(torch.equal(of, expected[name]) for name, of in found.items())


def test_the_same_model_is_written_in_the_same_bytes(tmp_path, folder):
    write_model(tmp_path / "again", read_model(folder))
    assert {path.name for path in folder.iterdir()} == FILES | {"manifest.json"}
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_later_model_takes_the_place_of_an_earlier_one(folder):
    later = pairs(layers=2)
    write_model(folder, replace(later, record=replace(later.record, seed=4)))
    assert read_record(folder).seed == 4
    assert [path.name for path in folder.parent.iterdir()] == ["seed-3"]


def test_a_model_that_cannot_be_written_leaves_the_earlier_one(folder):
    later = pairs(layers=2)
    record = replace(later.record, seed=4, environment={"not JSON": object()})
    with pytest.raises(TypeError):
        write_model(folder, replace(later, record=record))
    assert read_record(folder).seed == 0
    assert [path.name for path in folder.parent.iterdir()] == ["seed-3"]


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_damaged_file_is_refused_by_name(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} is damaged"):
        read_model(folder)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_refused_by_name(folder, name):
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing"):
        read_model(folder)


def test_a_record_is_read_without_its_weights_being_looked_at(folder):
    """Who compares runs needs no network: what is wrong with one is told where it is asked for."""
    other = altered(folder, lambda new: (new / "weights.safetensors").write_bytes(b"rubbish"))
    assert read_record(other).seed == 0
    with pytest.raises(DataError, match=rf"^{other}: the weights cannot be read "):
        read_model(other)


def altered(folder: Path, change) -> Path:
    """Return a record with a right manifest whose files are changed."""
    other = folder.parent / "other"
    with new_folder(other) as new:
        shutil.copytree(folder, new, dirs_exist_ok=True, ignore=lambda *_: ["manifest.json"])
        change(new)
    return other


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": 6},
        {"embedding_size": 6},
        {"layers": 2},
        {"decoder": "peeky"},
        {"cell": "gru"},
        {"bidirectional": True},
    ],
    ids=str,
)
def test_weights_that_do_not_fit_the_options_are_refused(folder, change):
    write_model(folder, replace(pairs(), model=pairs(**change).model))
    with pytest.raises(DataError, match="seed-3: the weights do not fit the options of run"):
        read_model(folder)


def test_weights_that_do_not_fit_the_form_are_refused(folder):
    write_model(folder, replace(pairs(), form=ragged().form))
    with pytest.raises(DataError, match="seed-3: the weights do not fit the options of run"):
        read_model(folder)


def with_weights(change):
    """Return a change of the weights of a record."""

    def write(new: Path) -> None:
        path = new / "weights.safetensors"
        weights = load_file(path)
        change(weights)
        save_file(weights, path)

    return write


NAME = "decoder.affine.bias"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda w: w.pop(NAME), "the weights do not fit"),
        (lambda w: w.update(more=torch.zeros(4)), "the weights do not fit"),
        (lambda w: w.update({NAME: w[NAME].double()}), "the weights do not fit"),
        (lambda w: w.update({NAME: w[NAME][None].clone()}), "the weights do not fit"),
        (lambda w: w[NAME].fill_(float("nan")), "a weight is not a finite number"),
        (lambda w: w[NAME][0].fill_(float("inf")), "a weight is not a finite number"),
        (lambda w: w.clear(), "the weights do not fit"),
    ],
    ids=["one gone", "one more", "float64", "another shape", "no number", "infinite", "none"],
)
def test_weights_that_are_none_of_the_model_are_refused(folder, change, fault):
    other = altered(folder, with_weights(change))
    with pytest.raises(DataError, match=rf"^{other}: {fault}"):
        read_model(other)


@pytest.mark.parametrize("size", ["hidden_size", "embedding_size", "layers"])
def test_a_damaged_size_asks_for_no_memory(folder, size):
    """A model of that size would be of more numbers than any machine holds."""
    huge = pairs().record.options.model_copy(update={size: 10**9})
    record = replace(pairs().record, subject=replace(pairs().record.subject, options=huge))
    write_model(folder, replace(pairs(), record=record))
    with pytest.raises(DataError, match="the weights do not fit the options of run"):
        read_model(folder)


def test_a_form_of_another_kind_is_refused(folder):
    form = json.dumps(WORDS.model_dump())
    other = altered(folder, lambda new: (new / "form.json").write_text(form))
    with pytest.raises(DataError, match=r"form\.json holds no form of data \(source: Field req"):
        read_model(other)
