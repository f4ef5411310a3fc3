"""Damaged files: each is refused with a message, or is what it should be."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors

from fuzz import damage
from fuzz.trial import TALLIES, attempt, numbered
from models.toys import DIGITS, corpus, corpus_options, pairs, pairs_options, subject
from unroll.runs.circumstances import (
    Circumstances,
    EpochTiming,
    Recorder,
    RunTiming,
    Source,
    read_circumstances,
)
from unroll.options import parse_variant
from unroll.data.corpus import EOS, UNKNOWN, Corpus, load_corpus, save_corpus, words
from unroll.storage.files import new_folder, write_arrays
from unroll.data.leakage import check_leakage
from unroll.data.loading import load
from unroll.data.pairs import Pairs, load_pairs, save_pairs
from unroll.storage.tables import read_table, write_table
from unroll.tasks import addition
from unroll.tasks import text as text_task
from unroll.data.texts import texts
from unroll.data.vocabulary import Vocabulary
from unroll.evaluation import attention
from unroll.evaluation.breakdown import PAIRS_COLUMNS
from unroll.evaluation.items import outcomes, read_items, write_items
from unroll.evaluation.scores import read_scores, summary, write_scores
from unroll.evaluation.selection import validation_metric
from unroll.generation.answering import answer_texts
from unroll.generation.sampling import Sampling
from unroll.generation.writing import write
from unroll.models.build import Model, build, count_parameters
from unroll.models.initialise import initialise
from unroll.runs.record import Record, read_model, write_record
from unroll.runs.subject import Subject
from unroll.training.checkpoint import Checkpoint, Snapshot

REMEDY = "run: dvc repro v"
LONGEST = 100  # symbols of an answer that is tried


def damaged(
    kind: str, wholes: list[Path], read: Callable, check: Callable, mend: Callable | None = None
) -> None:
    """Try folders that are damaged; `read` and `check` take the folder, `check` what was read.

    Half of them go through `mend` before they are read.
    """
    target = wholes[0].parent / "damaged"
    for random in numbered(kind):
        done = damage.folder(random.choice(wholes), target, random)
        if mend and random.random() < 0.5:
            mend(target)
        attempt(kind, done, lambda: read(target), lambda found: check(found, target))
    for whole in wholes:
        read(whole)  # else all would be refused, and nothing checked
    assert TALLIES[kind].accepted < TALLIES[kind].tried


# Data files


def sums() -> str:
    numbers = np.random.default_rng(5).permutation(100)[:40].reshape(20, 2).tolist()
    return "".join(f"{f'{a}+{b}':<5}{f'_{a + b}':<4}\n" for a, b in numbers)


def test_a_file_of_additions(tmp_path):
    path, whole = tmp_path / "sums.txt", sums()
    options = addition.Options(kind="addition", source=str(path), max_digits=2, valid=5)
    assert len(addition.prepare(replace_source(options, path, whole)).sources["train"]) == 18
    for random in numbered("additions"):
        changed = damaged_text(whole, random)
        path.write_bytes(changed)
        attempt("additions", changed, lambda: addition.prepare(options), check_sums(path, tmp_path))


def replace_source(options: addition.Options, path: Path, content: str) -> addition.Options:
    path.write_text(content)
    return options


def damaged_text(whole: str, random: Random) -> bytes:
    if random.random() < 0.8:
        return damage.text(whole, random).encode()
    return damage.content(whole.encode(), random)


def check_sums(path: Path, folder: Path) -> Callable[[Pairs], None]:
    """Return a check that sums are right, those of the file, each in one split, and can be kept."""

    def check(found: Pairs) -> None:
        lines = path.read_text().splitlines()
        for split, sources in found.sources.items():
            questions = texts(sources, found.vocabulary)
            answers = texts(found.targets[split], found.vocabulary)
            for question, answer in zip(questions, answers, strict=True):
                a, b = question.split("+")
                assert int(a) + int(b) == int(answer.removeprefix("_"))
                if split != "valid":
                    assert f"{question}{answer}" in [line.replace(" ", "") for line in lines]
        assert len(found.sources["train"]) + len(found.sources["test"]) == len(lines)
        check_leakage(found, addition.same)
        save_pairs(found, folder / "prepared")
        again = load_pairs(folder / "prepared", REMEDY)
        assert again.vocabulary == found.vocabulary
        assert same(again.sources, found.sources) and same(again.targets, found.targets)

    return check


def same(ones: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> bool:
    return ones.keys() == others.keys() and all(np.array_equal(ones[k], others[k]) for k in ones)


TEXTS = {
    "train.txt": "the cat saw a bird\na bird saw the cat\n<unk> heard the naïve bird\n",
    "valid.txt": "the bird saw a cat\na cat heard the bird\n",
    "test.txt": "a dog saw the cat\n",
}


def test_a_folder_of_texts(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    options = text_task.Options(kind="text", source=str(folder))
    for random in numbered("texts"):
        for path in folder.iterdir():
            path.unlink()
        written = {name: content.encode() for name, content in TEXTS.items()}
        name = random.choice(list(TEXTS))
        written[name] = damaged_text(TEXTS[name], random)
        if random.random() < 0.1:
            other = random.choice(["old-train.txt", "Train.txt", "valid", "test.txt.bak", "x.txt"])
            written[other] = written[name]
        if random.random() < 0.05:
            del written[name]
        for name, content in written.items():
            (folder / name).write_bytes(content)
        attempt("texts", written, lambda: text_task.prepare(options), check_words(folder, tmp_path))


def check_words(folder: Path, work: Path) -> Callable[[Corpus], None]:
    """Return a check that ids stand for the words of the files, and that they can be kept."""

    def check(found: Corpus) -> None:
        symbols = found.vocabulary.symbols
        for split, tokens in found.tokens.items():
            [path] = folder.glob(f"*{split}*.txt")
            expected = words(path.read_bytes().decode())
            known = [word if word in found.vocabulary.ids else UNKNOWN for word in expected]
            assert [symbols[i] for i in tokens] == (expected if split == "train" else known)
        assert list(symbols) == list(dict.fromkeys(symbols[i] for i in found.tokens["train"]))
        save_corpus(found, work / "prepared")
        again = load_corpus(work / "prepared", REMEDY)
        assert again.vocabulary == found.vocabulary and same(again.tokens, found.tokens)

    return check


# Prepared data


def check_stored(folder: Path, found: dict[str, np.ndarray], size: int) -> None:
    """Check that arrays are those of the file, whole numbers, and ids of so many symbols."""
    stored = load_file(folder / "arrays.safetensors")
    assert all(array.dtype.kind in "iu" for array in stored.values())
    assert same(found, stored)
    assert all(array.min() >= 0 and array.max() < size for array in found.values())


def check_pairs(found: Pairs, folder: Path) -> None:
    sides = {"source": found.sources, "target": found.targets}
    arrays = {
        f"{split}.{side}": ids for side, splits in sides.items() for split, ids in splits.items()
    }
    check_stored(folder, arrays, len(found.vocabulary))
    assert {ids.shape[1] for ids in found.sources.values()} == {found.form["source_length"]}
    assert {ids.shape[1] for ids in found.targets.values()} == {found.form["target_length"]}
    assert all(
        len(found.sources[split]) == len(found.targets[split]) > 0 for split in found.sources
    )
    starts = {found.vocabulary.symbols[i] for ids in found.targets.values() for i in ids[:, 0]}
    assert starts == {found.form["start"]}
    assert found.vocabulary.symbols[found.blank] == " "
    check_symbols(found.vocabulary)


def check_corpus(found: Corpus, folder: Path) -> None:
    check_stored(folder, found.tokens, len(found.vocabulary))
    assert all(ids.ndim == 1 for ids in found.tokens.values())
    assert found.vocabulary.symbols[found.eos] == EOS
    check_symbols(found.vocabulary)


def check_symbols(vocabulary: Vocabulary) -> None:
    """Check that symbols differ, are not empty, and can be written."""
    assert len(set(vocabulary.symbols)) == len(vocabulary) and "" not in vocabulary.ids
    check_text(list(vocabulary.symbols))


def check_text(value: Any) -> None:
    """Check that what JSON held can be written: JSON also knows halves of symbols."""
    json.dumps(value, ensure_ascii=False).encode()


def test_prepared_pairs(tmp_path):
    save_pairs(pairs(), tmp_path / "toy")
    options = addition.Options(kind="addition", max_digits=1, train=20, valid=5, test=5)
    save_pairs(addition.prepare(options), tmp_path / "sums")
    wholes = [tmp_path / "toy", tmp_path / "sums"]
    damaged("prepared pairs", wholes, lambda f: load("pairs", f, REMEDY), check_pairs)


def test_a_prepared_corpus(tmp_path):
    save_corpus(corpus([0, 1, 2, 3, 0, 4]), tmp_path / "toy")
    whole = [tmp_path / "toy"]
    damaged("prepared corpus", whole, lambda f: load("corpus", f, REMEDY), check_corpus)


# Run records


HISTORY = pd.DataFrame({"epoch": [1, 2], "train_loss": [0.3, 1 / 3]}).assign(
    valid_exact_match=[1e-17, 1.0], valid_perplexity=[12.5, 10.0]
)
RECORDS = {
    "plain": pairs_options(),
    "attention": pairs_options(decoder="attention", bidirectional=True, padding="masked"),
    "language": corpus_options(layers=2),
    "tied": corpus_options(tie_weights=True, cell="gru"),
}


@pytest.fixture
def records(tmp_path) -> list[Path]:
    for name, options in RECORDS.items():
        of_pairs = options.kind == "pairs"
        vocabulary = DIGITS if of_pairs else Vocabulary((EOS, "naïve", "☑", '"', "N"))
        model = build(options, vocabulary)
        initialise(model, options.init, seed=3)
        form = {"source_length": 4, "target_length": 5, "start": "_"} if of_pairs else {}
        size = count_parameters(model)
        record = Record(subject(options), 3, size, form, vocabulary, HISTORY)
        write_record(tmp_path / name, record, model)
    return [tmp_path / name for name in RECORDS]


def rekey(folder: Path) -> None:
    """Give the run of a record the key that its options imply, if they can have one."""
    try:
        run = json.loads((folder / "run.json").read_text())
        environment = json.loads((folder / "facts.json").read_text())["environment"]
        about = Subject(
            run["study"],
            run["variant"],
            parse_variant(run["kind"], run["options"]),
            run["data_digest"],
            run["sources_digest"],
            environment,
        )
        run["key"] = about.key(run["seed"])
    except Exception:
        return  # it stays as it is
    (folder / "run.json").write_text(json.dumps(run))
    damage.seal(folder)


def check_weights(model: Model, stored: dict[str, torch.Tensor]) -> None:
    for name, parameter in model.named_parameters():
        assert stored[name].dtype == torch.float32
        assert parameter.isfinite().all()
        assert torch.equal(stored[name], parameter)


def read_usable(folder: Path) -> tuple[Record, Model]:
    """Read a record with its model as all do who choose by validation, then use it."""
    record, model = read_model(folder, REMEDY)
    validation_metric(record)
    return record, model


def check_history(record: Record) -> None:
    history = record.history
    assert list(history["epoch"]) == list(range(1, len(history) + 1))
    assert np.isfinite(history.to_numpy(float)).all()
    assert validation_metric(record)[0] in history


def check_record(found: tuple[Record, Model], folder: Path) -> None:
    """Check that the model has the weights of the file, and can answer or write."""
    record, model = found
    check_weights(model, load_tensors(folder / "weights.safetensors"))
    check_history(record)
    assert json.loads((folder / "run.json").read_text())["key"] == record.key
    check_symbols(record.vocabulary)
    generator, sampling = torch.Generator(), Sampling()
    if record.options.kind == "corpus":
        prompt = torch.tensor([record.vocabulary.ids[EOS]])
        written = write(model, prompt, 2, 3, sampling, generator)
        assert written.symbols.max() < len(record.vocabulary)
    elif max(record.form["source_length"], record.form["target_length"]) <= LONGEST:
        question = next(symbol for symbol in record.vocabulary.symbols if symbol.strip(" "))
        [(_, score)] = answer_texts(record, model, [question], sampling, generator)
        assert score <= 0


@pytest.mark.parametrize("key", ["layers", "embedding_size", "hidden_size"])
def test_an_enormous_size_in_a_run_record_is_refused_at_once(records, key):
    for folder in records:
        run = json.loads((folder / "run.json").read_text())
        run["options"][key] = 10**9
        (folder / "run.json").write_text(json.dumps(run))
        rekey(folder)
        attempt("enormous sizes", key, lambda f=folder: read_model(f, REMEDY), pytest.fail)


def test_run_records(records):
    damaged("run records", records, read_usable, check_record, mend=rekey)


# Checkpoints


KEY = "0123456789abcdef"
SNAPSHOT = Snapshot(
    {
        "weight": torch.full((2, 3), 1.5),
        "count": torch.tensor(7.0),
        "state": torch.arange(6, dtype=torch.uint8),
        "half": torch.full((2,), 0.5, dtype=torch.float16),
        "double": torch.full((2,), 0.1, dtype=torch.float64),
    },
    {"history": [{"loss": 0.1 + 0.2}], "step": 4},
)


def check_snapshot(found: Snapshot | None) -> None:
    """Check that it is what was written: the digest in its header covers all of it."""
    assert found is not None
    assert found.facts == SNAPSHOT.facts
    assert found.tensors.keys() == SNAPSHOT.tensors.keys()
    for name, tensor in SNAPSHOT.tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


def test_checkpoints(tmp_path):
    checkpoint = Checkpoint(tmp_path, 3, KEY, every=5)
    checkpoint.write(SNAPSHOT)
    whole = checkpoint.path.read_bytes()
    for random in numbered("checkpoints"):
        checkpoint.path.write_bytes(whole)
        attempt(
            "checkpoints", damage.file(checkpoint.path, random), checkpoint.read, check_snapshot
        )


# Circumstances


@pytest.fixture
def circumstances(tmp_path) -> Path:
    recorder = Recorder("unroll train v")
    recorder.source = Source(
        command="unroll train v", stage=None, experiment=None, commit="0123456789" * 4,
        folder="", dirty=True,
    )  # fmt: skip
    recorder.diff = b"--- a/x\n+++ b/x\n\xff"
    recorder.epochs = [
        EpochTiming(s, e, 10.5 * e, 1.5, 0.1, 50.0, 900.0) for s in (0, 1) for e in (1, 2)
    ]
    recorder.runs = [RunTiming(seed, 1.0, 21.0, 99.5) for seed in (0, 1)]
    recorder.write(tmp_path / "v")
    return tmp_path / "v"


def check_circumstances(found: Circumstances, folder: Path) -> None:
    """Check that all are finite numbers, one row for each epoch and one for each run."""
    for table in (found.epochs, found.runs.reset_index()):
        assert isinstance(table.index, pd.RangeIndex)
        assert np.isfinite(table.to_numpy(float)).all()
        whole = table.columns.intersection(["seed", "epoch"])
        assert all(kind.kind in "iu" for kind in table[whole].dtypes)
        assert not table.duplicated(list(whole)).any()
    assert np.isfinite(found.seconds.to_numpy()).all()
    assert found.diff == (folder / "uncommitted.diff").read_bytes()
    check_text(found.source.model_dump())


def test_circumstances(circumstances):
    damaged(
        "circumstances",
        [circumstances],
        lambda f: read_circumstances(f, REMEDY),
        check_circumstances,
    )


# Evaluation files


def check_scores(found: pd.DataFrame, folder: Path) -> None:
    """Check that each seed has one number for a metric, and that they can be summed up."""
    assert isinstance(found.index, pd.RangeIndex)
    assert not found.duplicated(["seed", "metric"]).any()
    assert (found["seed"] >= 0).all() and found["seed"].dtype.kind in "iu"
    assert all(isinstance(metric, str) and metric for metric in found["metric"])
    assert found["value"].dtype.kind == "f" and not found["value"].isna().any()
    assert len(summary(found)) == found["metric"].nunique()


def test_scores(tmp_path):
    scores = {s: {"test_exact_match": 0.5 + s / 10, "valid_perplexity": 5.25} for s in (0, 1, 10)}
    with new_folder(tmp_path / "v") as new:
        write_scores(new, scores)
    damaged("scores", [tmp_path / "v"], lambda f: read_scores(f, REMEDY), check_scores)


def check_items(found: dict[str, np.ndarray], folder: Path) -> None:
    """Check that a number can be had of each item."""
    assert same(found, load_file(folder / "items.safetensors"))
    values = outcomes([found, found])
    assert values.ndim == 2 and np.isfinite(values).all()
    assert "right" not in found or set(np.unique(values)) <= {0, 1}


def test_items(tmp_path):
    answers = np.arange(12, dtype=np.int32).reshape(4, 3)
    right, confidence = np.array([0, 1, 1, 0], np.uint8), np.full(4, 0.5, np.float32)
    of_pairs = {"right": right, "confidence": confidence, "answers": answers}
    of_corpus = {"losses": np.array([1.5, 2.5]), "counts": np.array([2, 3], np.int32)}
    write_items(tmp_path / "pairs", of_pairs)
    write_items(tmp_path / "corpus", of_corpus)
    wholes = [tmp_path / "pairs", tmp_path / "corpus"]
    damaged("items", wholes, lambda f: read_items(f, REMEDY), check_items)


def check_maps(found: dict[str, np.ndarray], folder: Path) -> None:
    """Check that each map is of a question and an answer that can be shown."""
    for source, answer, weights in zip(
        found["sources"], found["answers"], found["weights"], strict=True
    ):
        DIGITS.decode(source.tolist())
        DIGITS.decode(answer.tolist())
        assert weights.shape == (len(answer), len(source))
    assert len(found["right"]) == len(found["sources"])


def test_attention_maps(tmp_path):
    maps = {
        "sources": np.arange(10, dtype=np.int32).reshape(2, 5),
        "answers": np.arange(6, dtype=np.int32).reshape(2, 3),
        "right": np.array([1, 0], np.uint8),
        "weights": np.full((2, 3, 5), 0.2, np.float32),
    }
    (tmp_path / "v").mkdir()
    write_arrays(tmp_path / "v" / attention.NAME, maps)

    def read(folder: Path) -> dict[str, np.ndarray]:
        return attention.read_maps(folder, len(DIGITS), REMEDY)

    damaged("attention maps", [tmp_path / "v"], read, check_maps)


NUMBERS = ["items", "right", "confidence"]


def check_table(found: pd.DataFrame, folder: Path) -> None:
    """Check that the columns of numbers hold numbers."""
    assert isinstance(found.index, pd.RangeIndex)
    assert list(found.columns) == PAIRS_COLUMNS
    assert all(found[column].dtype.kind in "iuf" for column in NUMBERS)


def test_tables(tmp_path):
    rows = [("answer length", "1", 4, 0.5, 0.25), ("mistake", "+1, or so", 2, 0.0, 0.125)]
    (tmp_path / "v").mkdir()
    write_table(tmp_path / "v" / "breakdown.csv", pd.DataFrame(rows, columns=PAIRS_COLUMNS))

    def read(folder: Path) -> pd.DataFrame:
        return read_table(folder / "breakdown.csv", PAIRS_COLUMNS, REMEDY, NUMBERS)

    damaged("tables", [tmp_path / "v"], read, check_table)
