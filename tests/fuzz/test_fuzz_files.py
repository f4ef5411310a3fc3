"""Damaged files: each is refused with a message, or is what it should be."""

import json
import math
from collections.abc import Callable, Mapping
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
from models.toys import (
    captions_options,
    corpus,
    corpus_form,
    corpus_options,
    labels_options,
    pairs,
    pairs_options,
    ragged,
    subject,
)
from runs.evaluated import DIFF, EPOCHS, HISTORY, SESSION, evaluated_study
from unroll import kinds, study
from unroll.data.captioned import Captioned
from unroll.data.corpus import Corpus, load_corpus, save_corpus, words
from unroll.data.labels import Labelled, from_texts
from unroll.data.leakage import check_leakage
from unroll.data.pairs import Pairs, load_pairs, save_pairs
from unroll.data.sequences import SPLITS, Sequences
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError, UserError
from unroll.evaluation import breakdown
from unroll.evaluation.items import Item, outcomes, read_items, write_items
from unroll.evaluation.maps import Map, read_maps, write_maps
from unroll.evaluation.scores import read_scores, summary, write_scores
from unroll.kinds.kind import Kind
from unroll.models.budget import count_parameters
from unroll.models.initialise import initialise
from unroll.options import Compute, VariantOptions, parse_resolved
from unroll.plans.plan import plan_digest, read_plan, write_plan
from unroll.plans.training import training_plan
from unroll.reporting.results import Result, read_result
from unroll.runs.circumstances import (
    Circumstances,
    read_circumstances,
    read_diff,
    write_circumstances,
)
from unroll.runs.model import TrainedModel, read_model, write_model
from unroll.runs.record import Record
from unroll.runs.subject import Subject
from unroll.storage.folders import check_folder, new_folder
from unroll.storage.tables import read_table, write_table
from unroll.tasks.addition import Addition, AdditionOptions
from unroll.tasks.brackets import Brackets, BracketsOptions
from unroll.tasks.captions import CaptionsDataOptions, CaptionsTask
from unroll.tasks.programs import Programs, ProgramsOptions
from unroll.tasks.task import Task
from unroll.tasks.text import Text, TextOptions
from unroll.tasks.translation import Translation, TranslationOptions
from unroll.training.checkpoint import Checkpoint, Snapshot

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
    task = Addition(AdditionOptions(kind="addition", source=str(path), max_digits=2, valid=5))
    path.write_text(whole)
    assert len(task.prepare().sources["train"]) == 18
    for random in numbered("additions"):
        changed = damaged_text(whole, random)
        path.write_bytes(changed)
        attempt("additions", changed, task.prepare, check_sums(path, tmp_path, task))


def damaged_text(whole: str, random: Random) -> bytes:
    if random.random() < 0.8:
        return damage.text(whole, random).encode()
    return damage.content(whole.encode(), random)


def check_sums(path: Path, folder: Path, task: Addition) -> Callable[[Pairs], None]:
    """Return a check that sums are right, those of the file, each in one split, and can be kept."""

    def check(found: Pairs) -> None:
        lines = path.read_text().splitlines()
        plain = [line.replace(" ", "") for line in lines]
        for split in SPLITS:
            for question, answer in zip(found.questions(split), found.answers(split), strict=True):
                a, b = question.split("+")
                assert int(a) + int(b) == int(answer)
                if split != "valid":
                    assert f"{question}_{answer}" in plain
        assert len(found.sources["train"]) + len(found.sources["test"]) == len(lines)
        check_leakage({split: found.questions(split) for split in SPLITS}, task.same)
        save_pairs(found, folder / "prepared")
        again = load_pairs(folder / "prepared")
        assert again.form == found.form
        assert same(again.sources, found.sources) and same(again.targets, found.targets)

    return check


def same(ones: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Say whether the splits of arrays, or of sequences, are equal."""
    return ones.keys() == others.keys() and all(
        np.array_equal(a, b)
        for name in ones
        for a, b in zip(parts(ones[name]), parts(others[name]), strict=True)
    )


def parts(found: Any) -> tuple[np.ndarray, ...]:
    return (found.ids, found.lengths) if isinstance(found, Sequences) else (found,)


TEXTS = {
    "train.txt": "the cat saw a bird\na bird saw the cat\n<unk> heard the naïve bird\n",
    "valid.txt": "the bird saw a cat\na cat heard the bird\n",
    "test.txt": "a dog saw the cat\n",
}


def test_a_folder_of_texts(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    task = Text(TextOptions(kind="text", source=str(folder)))
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
        attempt("texts", written, task.prepare, check_words(folder, tmp_path))


def check_words(folder: Path, work: Path) -> Callable[[Corpus], None]:
    """Return a check that ids stand for the words of the files, and that they can be kept."""

    def check(found: Corpus) -> None:
        symbols = found.vocabulary.symbols
        for split, tokens in found.tokens.items():
            [path] = folder.glob(f"*{split}*.txt")
            expected = words(path.read_bytes().decode("utf-8-sig"))
            known = [word if word in found.vocabulary.ids else "<unk>" for word in expected]
            assert [symbols[i] for i in tokens] == (expected if split == "train" else known)
        assert list(symbols) == list(dict.fromkeys(symbols[i] for i in found.tokens["train"]))
        save_corpus(found, work / "prepared")
        again = load_corpus(work / "prepared")
        assert again.form == found.form and same(again.tokens, found.tokens)

    return check


# Prepared data


def check_stored(folder: Path, found: Mapping[str, np.ndarray]) -> None:
    """Check that arrays are those of the files: whole numbers of 32 bits, or bytes of pictures."""
    for name, array in found.items():
        assert array.dtype == (np.uint8 if name.endswith(".pixels") else np.int32)
        assert np.array_equal(array, np.load(folder / f"{name}.npy"))
    assert {path.stem for path in folder.glob("*.npy")} == found.keys()


def check_side(sides: Mapping[str, Sequences], vocabulary: Vocabulary, width: int) -> None:
    """Check that sequences are ids of symbols, of a length, in a matrix of the form's width."""
    for sequences in sides.values():
        assert sequences.width == width and len(sequences) == len(sequences.ids) > 0
        assert sequences.ids.min() >= 0 and sequences.ids.max() < len(vocabulary)
        assert sequences.lengths.min() > 0 and sequences.lengths.max() <= width
        assert len(sequences.texts(vocabulary)) == len(sequences)
    check_symbols(vocabulary)
    assert vocabulary["pad"] < len(vocabulary)


def side_arrays(sides: Mapping[str, Sequences], name: str) -> dict[str, np.ndarray]:
    ids = {f"{split}.{name}": of.ids for split, of in sides.items()}
    return ids | {f"{split}.{name}.lengths": of.lengths for split, of in sides.items()}


def check_pairs(found: Pairs, folder: Path) -> None:
    form = found.form
    levels = {} if found.levels is None else {"train.levels": found.levels}
    sides = side_arrays(found.sources, "source") | side_arrays(found.targets, "target")
    check_stored(folder, sides | levels)
    if found.levels is not None:
        assert found.levels.shape == (len(found.targets["train"]),) and found.levels.min() >= 1
    check_side(found.sources, form.source, form.source_width)
    check_side(found.targets, form.answers, form.target_width)
    for split in SPLITS:
        assert len(found.sources[split]) == len(found.targets[split])
        assert (found.targets[split].ids[:, 0] == form.answers["start"]).all()
        assert found.targets[split].lengths.min() > 1  # there is something to learn
        assert len(found.questions(split)) == len(found.references(split))
        check_text([found.questions(split), found.references(split), found.answers(split)])


def check_labelled(found: Labelled, folder: Path) -> None:
    labels = {f"{split}.labels": numbers for split, numbers in found.labels.items()}
    check_stored(folder, side_arrays(found.sources, "source") | labels)
    check_side(found.sources, found.form.source, found.form.source_width)
    assert len(set(found.form.labels)) == len(found.form.labels) > 1
    check_text(found.form.labels)
    assert all(len(found.answers(split)) == len(found.sources[split]) for split in SPLITS)


def check_captioned(found: Captioned, folder: Path) -> None:
    form, shown = found.form, found.sources.items()
    pictures = {f"{split}.pixels": of.pixels for split, of in shown}
    rows = {f"{split}.rows": of.rows for split, of in shown}
    check_stored(folder, side_arrays(found.targets, "target") | pictures | rows)
    check_side(found.targets, form.answers, form.target_width)
    for split, of in shown:
        assert of.pixels.shape[1:] == (3, form.size, form.size) and of.pixels.dtype == np.uint8
        assert of.rows.min() >= 0 and of.rows.max() < len(of.pixels)
        assert len(of) == len(found.targets[split]) == len(found.references(split))
        check_text([found.questions(split), found.references(split)])


def check_corpus(found: Corpus, folder: Path) -> None:
    check_stored(folder, found.tokens)
    for ids in found.tokens.values():
        assert ids.ndim == 1 and ids.size
        assert ids.min() >= 0 and ids.max() < len(found.vocabulary)
    assert found.vocabulary.symbols[found.eos] == found.vocabulary.special["end"]
    check_symbols(found.vocabulary)


def check_symbols(vocabulary: Vocabulary) -> None:
    """Check that symbols differ, are not empty, and can be written."""
    assert len(set(vocabulary.symbols)) == len(vocabulary) and "" not in vocabulary.ids
    assert set(vocabulary.special.values()) <= set(vocabulary.symbols)
    check_text(list(vocabulary.symbols))


def check_text(value: Any) -> None:
    """Check that what JSON held can be written: JSON also knows halves of symbols."""
    json.dumps(value, ensure_ascii=False).encode()


BRACKETS = Brackets(BracketsOptions(kind="brackets", longest=8, train=12, valid=4, test=4))
SUMS = Addition(AdditionOptions(kind="addition", max_digits=1, train=20, valid=5, test=5))


PROGRAMS = Programs(
    ProgramsOptions(kind="programs", operations=1, beyond=0, train=6, valid=2, test=2)
)
SCENES = CaptionsTask(
    CaptionsDataOptions(kind="captions", size=16, train=4, valid=2, test=2, new_combinations=1)
)
NUMBERS = Translation(
    TranslationOptions(kind="translation", to_language="ko", train=9, valid=3, test=3)
)


def test_prepared_pairs(tmp_path):
    wholes = {
        "toy": pairs(),
        "sums": SUMS.prepare(),
        "ragged": ragged(),
        "numbers": NUMBERS.prepare(),
        "programs": PROGRAMS.prepare(),
    }
    for name, whole in wholes.items():
        save_pairs(whole, tmp_path / name)
    folders = [tmp_path / name for name in wholes]
    damaged("prepared pairs", folders, kinds.named("pairs").load, check_pairs)


def test_prepared_labels(tmp_path):
    kind = kinds.named("labels")
    kind.save(BRACKETS.prepare(), tmp_path / "toy")
    rows = [("a b", "one"), ("b c", "two"), ("c", "one")]
    kind.save(from_texts(dict.fromkeys(SPLITS, rows), "word"), tmp_path / "texts")
    folders = [tmp_path / "toy", tmp_path / "texts"]
    damaged("prepared labels", folders, kind.load, check_labelled)


def test_prepared_captions(tmp_path):
    kind = kinds.named("captions")
    kind.save(SCENES.prepare(), tmp_path / "scenes")
    kind.save(kind.made_up(captions_options()), tmp_path / "toy")
    folders = [tmp_path / "scenes", tmp_path / "toy"]
    damaged("prepared captions", folders, kind.load, check_captioned)


def test_a_prepared_corpus(tmp_path):
    save_corpus(corpus([0, 1, 2, 3, 0, 4]), tmp_path / "toy")
    damaged("prepared text", [tmp_path / "toy"], kinds.named("corpus").load, check_corpus)


# Run records


PROSE = Text(TextOptions(kind="text", source="grammar"))
RECORDS: dict[str, tuple[VariantOptions, Task[Any], Any]] = {
    "plain": (pairs_options(), SUMS, SUMS.prepare().form),
    "attention": (
        pairs_options(decoder="attention", bidirectional=True, padding="masked"),
        SUMS,
        ragged().form,
    ),
    "language": (corpus_options(layers=2), PROSE, corpus_form(5)),
    "tied": (corpus_options(tie_weights=True, cell="gru"), PROSE, corpus_form(5)),
    "labels": (labels_options(pooling="attention"), BRACKETS, BRACKETS.prepare().form),
}


def record_of(options: VariantOptions, task: Task[Any], parameters: int = 9) -> Record:
    return Record(subject(options), 3, task, parameters, {"torch": "2.13.0"}, HISTORY)


@pytest.fixture
def records(tmp_path) -> list[Path]:
    for name, (options, task, form) in RECORDS.items():
        model = kinds.kind_of(options).build(options, form)
        initialise(model, options.init, seed=3)
        record = record_of(options, task, count_parameters(model))
        write_model(tmp_path / name, TrainedModel(record, form, model))
    return [tmp_path / name for name in RECORDS]


def rekey(folder: Path) -> None:
    """Give the run of a record the key that its options imply, if they can have one."""
    try:
        run = json.loads((folder / "run.json").read_text())
        about = Subject(
            run["study"],
            run["variant"],
            parse_resolved(run["kind"], run["options"]),
            run["data_digest"],
            run["plan"],
            run["machine"],
        )
        run["key"] = about.key(run["seed"])
    except Exception:
        return  # it stays as it is
    (folder / "run.json").write_text(json.dumps(run))
    damage.seal(folder)


def check_weights(model: torch.nn.Module, stored: dict[str, torch.Tensor]) -> None:
    for name, parameter in model.named_parameters():
        assert stored[name].dtype == torch.float32
        assert parameter.isfinite().all()
        assert torch.equal(stored[name], parameter)


def check_documents(record: Record) -> None:
    """Check what all do who choose by validation."""
    history = record.history
    assert list(history["epoch"]) == list(range(1, len(history) + 1))
    assert np.isfinite(history.to_numpy(float)).all()
    assert math.isfinite(record.chosen_by)
    assert record.task.kind == record.kind.name == record.options.kind
    check_text([record.subject.study, record.subject.variant, dict(record.environment)])


def widths(form: Any) -> list[int]:
    return [width for name, width in form.model_dump().items() if name.endswith("_width")]


def check_record(found: TrainedModel, folder: Path) -> None:
    """Check that the model has the weights of the file, and can answer or write."""
    check_documents(found.record)
    check_weights(found.model, load_tensors(folder / "weights.safetensors"))
    assert json.loads((folder / "run.json").read_text())["key"] == found.record.key
    kind, form = found.record.kind, found.form
    if max(widths(form), default=0) > LONGEST:
        return
    request = kind.Request(max_length=3) if kind.continues else kind.Request()
    try:
        [(said, score)] = kind.answer(found, [kind.example(found.task, form)], request)
    except UserError:  # a task and a form that each can be, but not with each other
        return
    said.encode()
    assert score <= 0


@pytest.mark.parametrize("key", ["layers", "embedding_size", "hidden_size"])
def test_an_enormous_size_in_a_run_record_is_refused_at_once(records, key):
    for folder in records:
        run = json.loads((folder / "run.json").read_text())
        run["options"][key] = 10**9
        (folder / "run.json").write_text(json.dumps(run))
        rekey(folder)
        attempt("enormous sizes", key, lambda f=folder: read_model(f), pytest.fail)


@pytest.mark.parametrize("key", ["source_width", "target_width"])
def test_an_enormous_width_in_a_form_is_refused_at_once(records, key):
    for folder in records:
        form = json.loads((folder / "form.json").read_text())
        if key in form:
            form[key] = 10**9
            (folder / "form.json").write_text(json.dumps(form))
            damage.seal(folder)
            attempt("enormous widths", key, lambda f=folder: read_model(f), pytest.fail)


def test_run_records(records):
    damaged("run records", records, read_model, check_record, mend=rekey)


def test_whole_records_are_used(records):
    """What `check_record` lets pass of damaged ones, it must not let pass of these."""
    for folder in records:
        found = read_model(folder)
        kind = found.record.kind
        if folder.name != "attention":  # whose symbols are not those of a sum
            assert kind.answer(found, [kind.example(found.task, found.form)], kind.Request())


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
    ("ab" * 32, "cd" * 32),
)


def check_snapshot(found: Snapshot | None) -> None:
    """Check that it is what was written: the digest in its header covers all of it."""
    assert found is not None
    assert found.facts == SNAPSHOT.facts and found.sources == SNAPSHOT.sources
    assert found.tensors.keys() == SNAPSHOT.tensors.keys()
    for name, tensor in SNAPSHOT.tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


def test_checkpoints(tmp_path):
    checkpoint = Checkpoint(tmp_path, 3, KEY, every=5, sources="cd" * 32)
    checkpoint.write(SNAPSHOT)
    whole = checkpoint.path.read_bytes()
    for random in numbered("checkpoints"):
        checkpoint.path.write_bytes(whole)
        attempt(
            "checkpoints", damage.file(checkpoint.path, random), checkpoint.read, check_snapshot
        )


# Circumstances


def check_circumstances(found: Circumstances, folder: Path) -> None:
    """Check that all are finite numbers, a row for each epoch."""
    assert isinstance(found.epochs.index, pd.RangeIndex)
    assert np.isfinite(found.epochs.to_numpy(float)).all()
    assert list(found.epochs["epoch"]) == [1, 2]
    assert math.isfinite(found.seconds)
    session = found.session
    assert all(map(math.isfinite, (session.started, session.ended, session.peak_memory_mb)))
    assert found.source.sources
    check_text(found.source.model_dump())


def test_circumstances(tmp_path):
    write_circumstances(tmp_path / "v", EPOCHS, SESSION, DIFF)
    record = record_of(pairs_options(), SUMS)

    def read(folder: Path) -> Circumstances:
        check_folder(folder)
        read_diff(folder)
        return read_circumstances(folder, record)

    damaged("circumstances", [tmp_path / "v"], read, check_circumstances)
    write_circumstances(tmp_path / "other", EPOCHS[:1], SESSION, DIFF)
    attempt("circumstances", "of another run", lambda: read(tmp_path / "other"), pytest.fail)


# Plans


def check_plan(found: dict[str, Any], folder: Path) -> None:
    """Check that it has a digest, in which all counts but the seeds."""
    digest = plan_digest(found)
    assert plan_digest({**found, "seeds": [7]}) == digest
    assert plan_digest({**found, "behaviour": {**found["behaviour"], "more": 1}}) != digest
    check_text(found)


def test_plans(tmp_path):
    (tmp_path / "v").mkdir()
    write_plan(tmp_path / "v" / "plan.json", training_plan(pairs_options(), Compute(device="cpu")))
    damaged("plans", [tmp_path / "v"], lambda f: read_plan(f / "plan.json"), check_plan)


# Evaluation files


def check_scores(found: pd.DataFrame, folder: Path) -> None:
    """Check that each seed has one number for a metric, and that they can be summed up."""
    assert isinstance(found.index, pd.RangeIndex)
    assert not found.duplicated(["seed", "metric"]).any()
    assert (found["seed"] >= 0).all() and found["seed"].dtype.kind in "iu"
    assert all(PAIRS.metric(metric) for metric in found["metric"])
    assert found["value"].dtype.kind == "f" and not found["value"].isna().any()
    assert len(summary(found)) == found["metric"].nunique()


PAIRS: Kind[Any, Any] = kinds.named("pairs")


def test_scores(tmp_path):
    scores = {s: {"test_exact_match": 0.5 + s / 10, "valid_exact_match": 0.25} for s in (0, 1, 10)}
    with new_folder(tmp_path / "v") as new:
        write_scores(new, scores)

    def read(folder: Path) -> pd.DataFrame:
        check_folder(folder)
        return read_scores(folder, PAIRS)

    damaged("scores", [tmp_path / "v"], read, check_scores)


def check_items(found: dict[str, Item], folder: Path) -> None:
    """Check that a number can be had of each item."""
    stored = load_file(folder / "items.safetensors")
    assert found
    for name, item in found.items():
        assert np.array_equal(item.values, stored.pop(name))
        assert item.weights is None or np.array_equal(item.weights, stored.pop(f"{name}.weights"))
        values = outcomes([item, item])
        assert values.ndim == 2 and np.isfinite(values).all()
    assert not stored


ITEMS = {
    "pairs": {
        "exact_match": Item(np.array([0, 1, 1, 0], np.uint8)),
        "character_accuracy": Item(np.array([1, 3, 2, 0], np.int32), np.full(4, 3, np.int32)),
    },
    "corpus": {"perplexity": Item(np.array([1.5, 2.5]), np.array([2, 3], np.int32))},
}


def test_items(tmp_path):
    for name, items in ITEMS.items():
        write_items(tmp_path / name, items)
    damaged("items", [tmp_path / name for name in ITEMS], read_items, check_items)


def check_maps(found: list[Map], folder: Path) -> None:
    """Check that each map is of a question and an answer that can be shown."""
    for one in found:
        weights = np.array(one.weights).reshape(len(one.answer), len(one.question))
        assert ((weights >= 0) & (weights <= 1)).all()
        assert isinstance(one.right, bool)
        check_text([one.question, one.answer])


def test_attention_maps(tmp_path):
    (tmp_path / "v").mkdir()
    weights = [[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]]
    one = {"question": ["5", "+", "☑"], "answer": ["1", "0"], "right": True, "weights": weights}
    write_maps(tmp_path / "v", [one, {**one, "right": False}])
    damaged("attention maps", [tmp_path / "v"], read_maps, check_maps)


def check_table(found: pd.DataFrame, folder: Path) -> None:
    """Check that the columns of numbers hold numbers."""
    assert isinstance(found.index, pd.RangeIndex)
    assert list(found.columns) == breakdown.COLUMNS
    assert all(found[column].dtype.kind in "iuf" for column in breakdown.NUMBERS)


def test_tables(tmp_path):
    rows = [("answer length", "1", 4, 0.5, 0.25), ("mistake", "+1, or so", 2, 0.0, 0.125)]
    (tmp_path / "v").mkdir()
    write_table(tmp_path / "v" / "breakdown.csv", pd.DataFrame(rows, columns=breakdown.COLUMNS))

    def read(folder: Path) -> pd.DataFrame:
        return read_table(folder / "breakdown.csv", breakdown.COLUMNS, breakdown.NUMBERS)

    damaged("tables", [tmp_path / "v"], read, check_table)


# Evaluation folders: all that the report and MLflow know of a variant


@pytest.fixture
def evaluated(tmp_path, monkeypatch) -> study.Study:
    monkeypatch.chdir(tmp_path)
    return evaluated_study()


def check_result(found: Result) -> None:
    """Check that all can be computed with it that the report shows."""
    for record in found.records:
        check_documents(record)
    for name in found.scores["metric"].unique():
        outcomes = found.outcomes(name, found.seeds)
        assert len(outcomes) == len(found.seeds) and np.isfinite(outcomes).all()
    for items in found.items:
        assert items.keys() <= {metric.name for metric in found.kind.metrics}
    assert found.counts["train"] > 0
    assert all(type(count) is int and count > 0 for count in found.counts.values())
    assert math.isfinite(found.seconds) and found.parameters > 0
    assert 0 <= found.best < len(found.records)
    found.samples.encode()
    check_text(dict(found.notes))
    assert all(isinstance(note, str) for note in found.notes.values())
    for maps in found.maps:
        check_maps(maps, Path())
    assert list(found.breakdown.columns) == [*breakdown.COLUMNS, "seed"]


def test_evaluation_folders(evaluated, tmp_path):
    wholes = [evaluated.evaluation(variant) for variant in evaluated.variants]
    looks = [v for v in evaluated.variants if read_result(evaluated, v).maps[0]]
    assert looks == ["attention"]
    for random in numbered("evaluations"):
        whole = random.choice(wholes)
        kept = whole.rename(tmp_path / "kept")
        done = damage.folder(kept, whole, random)
        attempt("evaluations", done, lambda v=whole.name: read_result(evaluated, v), check_result)
        damage.shutil.rmtree(whole)
        kept.rename(whole)
    for variant in evaluated.variants:
        check_result(read_result(evaluated, variant))


@pytest.mark.parametrize(
    "items",
    [
        {"exact_match": Item(np.zeros(4, np.uint8))},
        {**ITEMS["pairs"], "exact_match": Item(np.zeros(4, np.uint8))},
        {
            "exact_match": Item(np.zeros(5, np.uint8)),
            "character_accuracy": Item(np.zeros(5, np.int32), np.full(5, 7, np.int32)),
        },
        {
            "exact_match": Item(np.zeros(5, np.uint8), np.ones(5, np.int32)),
            "character_accuracy": Item(np.zeros(5, np.int32), np.full(5, 3, np.int32)),
        },
        {"perplexity": Item(np.zeros(5), np.ones(5, np.int32))},
        {"character_accuracy": Item(np.zeros(5, np.int32), np.full(5, 3, np.int32))},
    ],
    ids=[
        "fewer metrics",
        "fewer items",
        "other weights",
        "weights",
        "another kind",
        "not the main",
    ],
)
def test_seeds_of_different_items_are_refused(evaluated, items):
    """Each can be read for itself; together nothing can be said of them."""
    folder = evaluated.evaluation("plain")
    write_items(folder / "seed-1", items)
    damage.seal(folder)
    with pytest.raises(DataError, match=r"items.*; run: dvc repro evaluate@plain$"):
        read_result(evaluated, "plain")
