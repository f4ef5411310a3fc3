import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from models.toys import addition, corpus_options, labels_options, pairs_options, subject
from models.toys import record as toy_record
from unroll.errors import DataError
from unroll.options import PairsOptions, neutral_values
from unroll.runs.record import (
    Record,
    best,
    read_record,
    seed_folder,
    seed_folders,
    write_documents,
)
from unroll.storage.folders import new_folder
from unroll.tasks.brackets import Brackets, BracketsOptions
from unroll.tasks.text import Text, TextOptions

FILES = {"run.json", "facts.json", "history.csv"}
NUMBERS = {"train_loss": [0.1 + 0.2, 1 / 3], "score": [1e-17, 1.0]}
TASKS = {
    "pairs": addition(max_digits=2),
    "corpus": Text(TextOptions(kind="text", source="grammar")),
    "labels": Brackets(BracketsOptions(kind="brackets", longest=8)),
}


def make(options) -> Record:
    """Return a record of a run with these options and two epochs."""
    scores = {"pairs": "exact_match", "corpus": "perplexity", "labels": "accuracy"}
    losses, values = NUMBERS["train_loss"], NUMBERS["score"]
    metric = f"valid_{scores[options.kind]}"
    history = pd.DataFrame({"epoch": [1, 2], "train_loss": losses, metric: values})
    return Record(subject(options), 3, TASKS[options.kind], 12, {"torch": "2.13.0"}, history)


def write(folder: Path, record: Record) -> Path:
    with new_folder(folder) as new:
        write_documents(new, record)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "seed-3", make(pairs_options()))


@pytest.mark.parametrize(
    "options",
    [
        pairs_options(),
        pairs_options(decoder="attention", bidirectional=True, layers=2, clip=0.5),
        pairs_options(teacher_forcing=0.5, teacher_forcing_by="sequence"),
        corpus_options(layers=2, init="default"),
        corpus_options(tie_weights=True),
        labels_options(pooling="attention"),
    ],
    ids=lambda options: options.kind,
)
def test_what_is_written_is_read_bit_for_bit(tmp_path, options):
    record = make(options)
    found = read_record(write(tmp_path / "seed-3", record))
    pd.testing.assert_frame_equal(found.history, record.history, check_exact=True)
    assert type(found.task) is type(record.task)
    assert found.task.options == record.task.options
    same = {"history": record.history, "task": record.task}
    assert replace(found, **same) == record
    assert found.key == record.key == record.subject.key(3)
    assert found.kind.name == options.kind


def test_the_same_record_is_written_in_the_same_bytes(tmp_path, folder):
    write(tmp_path / "again", read_record(folder))
    assert {path.name for path in folder.iterdir()} == FILES | {"manifest.json"}
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_options_that_do_nothing_are_not_written(folder):
    written = json.loads((folder / "run.json").read_text())["options"]
    left_out = pairs_options().model_dump().keys() - written.keys()
    assert left_out == neutral_values(PairsOptions).keys() >= {"teacher_forcing", "attention"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_damaged_file_is_refused_by_name(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} is damaged"):
        read_record(folder)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_refused_by_name(folder, name):
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing"):
        read_record(folder)


@pytest.mark.parametrize("left", [[], sorted(FILES)], ids=["nothing", "no manifest"])
def test_a_folder_that_is_not_a_whole_record_is_refused(folder, left):
    for path in folder.iterdir():
        if path.name not in left:
            path.unlink()
    with pytest.raises(DataError, match="seed-3 is missing or incomplete"):
        read_record(folder)
    with pytest.raises(DataError, match="missing or incomplete"):
        read_record(folder.parent / "nowhere")


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
        read_record(folder)
    return str(caught.value)


def test_an_unaltered_copy_is_read(folder):
    assert read_record(altered(folder, "run.json", lambda text: text)).seed == 3


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
        ("run.json", "kind", "words", "RunDocument, kind: Input should be 'pairs', 'replies',"),
        ("run.json", "kind", ["pairs"], "RunDocument, kind: Input should be 'pairs', 'replies',"),
        ("run.json", "kind", "corpus", "CorpusOptions, time_steps: Field required"),
        ("run.json", "data_digest", "ab" * 31, "RunDocument, data_digest: String should match"),
        ("run.json", "data_digest", "AB" * 32, "RunDocument, data_digest: String should match"),
        ("run.json", "plan", "xy" * 32, "RunDocument, plan: String should match"),
        ("run.json", "plan", "cd" * 32 + "\n", "RunDocument, plan: String should match"),
        ("run.json", "plan", ..., "RunDocument, plan: Field required"),
        ("run.json", "machine", ..., "RunDocument, machine: Field required"),
        ("run.json", "machine", {"device": None}, "RunDocument, machine.device"),
        ("run.json", "options.dropuot", 0.1, "PairsOptions, dropuot: Extra inputs are not"),
        ("run.json", "options.epochs", ..., "PairsOptions, epochs: Field required"),
        ("run.json", "options.epochs", "2", "PairsOptions, epochs: Input should be a valid int"),
        ("run.json", "options.teacher_forcing", 2.0, "PairsOptions, teacher_forcing: Input should"),
        ("run.json", "data", [], "RunDocument, data: Input should be a valid dictionary"),
        ("run.json", "data.max_digits", 0, "AdditionOptions, max_digits: Input should be greater"),
        ("run.json", "data.more", 1, "AdditionOptions, more: Extra inputs are not permitted"),
        ("facts.json", "parameters", ..., "FactsDocument, parameters: Field required"),
        ("facts.json", "parameters", 0, "FactsDocument, parameters: Input should be greater"),
        ("facts.json", "environment", {"a": None}, "FactsDocument, environment.a"),
        ("facts.json", "seconds", 1.5, "FactsDocument, seconds: Extra inputs are not permitted"),
    ],
)
def test_a_document_of_another_form_is_refused_by_its_first_fault(
    folder, name, place, value, fault
):
    message = refused(other := altered(folder, name, with_value(place, value)))
    assert message.startswith(f"{other} is no run record ({fault}")
    assert message.endswith(")")


@pytest.mark.parametrize("kind", [..., None, "translations", "task", "", 1, ["addition"]])
def test_a_record_of_a_task_that_is_not_known_is_refused(folder, kind):
    other = altered(folder, "run.json", with_value("data.kind", kind))
    told = None if kind is ... else kind
    assert refused(other) == f"{other} is of a task that is not known: {told}"


def test_a_record_of_a_task_of_another_kind_of_model_is_refused(folder):
    data = {"kind": "text", "source": "grammar"}
    other = altered(folder, "run.json", with_value("data", data))
    assert refused(other) == f"{other}: text is no task of pairs"


@pytest.mark.parametrize("schema", [..., None, 1, 3, "2", 0])
def test_a_record_of_another_schema_is_refused(folder, schema):
    assert json.loads((folder / "run.json").read_text())["schema"] == 2
    other = altered(folder, "run.json", with_value("schema", schema))
    told = None if schema is ... else schema
    assert refused(other) == f"{other} has schema {told} instead of 2"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("key", "0" * 16),
        ("study", "quick"),
        ("variant", "other"),
        ("seed", 4),
        ("data_digest", "ac" * 32),
        ("plan", "ce" * 32),
        ("options.hidden_size", 5),
        ("options.teacher_forcing", 0.5),
        ("machine.threads", 2),
    ],
)
def test_a_record_whose_key_is_not_that_of_its_content_is_refused(folder, place, value):
    other = altered(folder, "run.json", with_value(place, value))
    assert refused(other) == f"{other}: the key in run.json is not that of the run"


def test_the_other_seeds_of_the_variant_are_no_part_of_the_key(folder):
    other = altered(folder, "run.json", with_value("options.seeds", [3, 8]))
    assert read_record(other).options.seeds == [3, 8]


def test_where_it_was_trained_is_no_part_of_the_key(folder):
    other = altered(folder, "facts.json", with_value("environment", {"torch": "3.0", "cpu": "x"}))
    assert read_record(other).environment == {"torch": "3.0", "cpu": "x"}


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
    with pytest.raises(DataError, match=r"history\.csv (does not hold|lacks an epoch)"):
        read_record(other)


@pytest.mark.parametrize("text", ["", "epoch,train_loss\n1,0.5\n2,0.5,3,4\n"])
def test_a_history_that_is_no_table_is_refused(folder, text):
    other = altered(folder, "history.csv", lambda _: text)
    with pytest.raises(DataError, match=r"(?s)history\.csv cannot be read \("):
        read_record(other)


def test_a_history_without_the_metric_that_decides_is_refused(folder):
    other = altered(
        folder, "history.csv", lambda text: text.replace("valid_exact_match", "valid_x")
    )
    assert refused(other) == f"{other / 'history.csv'} lacks valid_exact_match"


@pytest.mark.parametrize("name", ["run.json", "facts.json"])
def test_a_document_that_is_no_json_object_is_refused(folder, name):
    assert refused(altered(folder, name, lambda _: "[]")).endswith(
        f"{name}: expected a JSON object"
    )


def test_names_of_a_record():
    assert seed_folder(Path("models"), 12) == Path("models/seed-12")


def test_folders_of_a_variant_come_in_the_order_of_the_seeds(tmp_path):
    for name in ("seed-10", "seed-9", "seed-0", "seed-x", "seed-", "seed-9.old", "manifest.json"):
        (tmp_path / name).mkdir()
    assert seed_folders(tmp_path) == [tmp_path / f"seed-{seed}" for seed in (0, 9, 10)]


def test_a_variant_without_folders_holds_no_model(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=rf"^{folder} holds no trained model$"):
            seed_folders(folder)


def test_the_best_record_is_that_of_the_last_epoch_and_of_equal_ones_the_first():
    def scored(seed, *scores):
        return toy_record(pairs_options(), seed=seed, valid_exact_match=list(scores))

    records = [scored(0, 0.9, 0.1), scored(1, 0.2, 0.6), scored(2, 0.6), scored(3, 0.5)]
    assert best(records).seed == 1
    assert best(reversed(records)).seed == 2


def test_the_best_language_model_is_that_of_the_lowest_perplexity():
    records = [
        toy_record(corpus_options(), TASKS["corpus"], seed, valid_perplexity=[score])
        for seed, score in enumerate((120.0, 90.0, 100.0))
    ]
    assert best(records).seed == 1
