"""From a params file of the book to scores, a record, and what MLflow holds: no stub between."""

import contextlib
import json
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from models.booklike import arrays_of, better_rnnlm, pairs_model, rnnlm, saved
from runs.evaluated import evaluated_study
from tracking.conftest import client, empty_database
from unroll.cli import main
from unroll.kinds.pairs import PairsRequest
from unroll.runs.imported import all_imported
from unroll.runs.model import read_model
from unroll.runs.record import read_record
from unroll.stages.import_book import STANDARD
from unroll.stages.track import track
from unroll.storage.folders import sha256
from unroll.study import load

__all__ = ["client", "empty_database"]

GRAMMAR = """\
  prose:
    data: {kind: text, source: texts}
    defaults: {seeds: [3], embedding_size: 6, hidden_size: 6, epochs: 1, batch_size: 2,
               time_steps: 5, optimizer: sgd, learning_rate: 1.0}
variants:
  rnnlm: {task: prose}
  better: {task: prose, layers: 2, tie_weights: true, init: default, hidden_size: 9,
           embedding_size: 9}
  skipping: {task: prose, layers: 2, skip_connections: true}
"""
WORDS = ("the", "cat", "sat", "on", "a", "mat")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study with trained variants of addition, and a text of seven words with `<eos>`."""
    folder = tmp_path_factory.mktemp("study")
    with contextlib.chdir(folder):
        evaluated_study()
        params = Path("params.yaml")
        params.write_text(params.read_text().replace("variants:\n", GRAMMAR))
        Path("texts").mkdir()
        for split in ("train", "valid", "test"):
            Path("texts", f"{split}.txt").write_text(" ".join(WORDS) + "\n")
    return folder


@pytest.fixture
def study(client, made):
    shutil.copytree(made, Path(), dirs_exist_ok=True)
    return load()


def run(*arguments):
    return CliRunner().invoke(main, arguments, prog_name="unroll")


def works(*arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def fails(*arguments) -> str:
    before = contents()
    result = run(*arguments)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in (1, 2) and contents() == before
    return result.stderr.removeprefix("error: ").strip()


def contents() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path("data").rglob("*") if path.is_file()}


def book_file(study, variant: str, characters: str) -> Path:
    """Write a trained variant as the book would have saved it, its characters in this order."""
    trained = read_model(study.model(variant) / "seed-0")
    ids = trained.form.source.ids
    arrays = arrays_of(trained.model, [ids[symbol] for symbol in characters])
    return saved(Path("Seq2seq.pkl"), arrays, "f4")


def scores(folder: Path) -> dict[str, float]:
    table = pd.read_csv(folder / "scores.csv")
    rows = table[table["seed"] == 0]
    return dict(zip(rows["metric"], rows["value"], strict=True))


@pytest.mark.parametrize("variant", ["plain", "attention"])
def test_an_import_is_scored_as_the_model_that_it_is(study, variant):
    characters = "_ +9876543210"
    file = book_file(study, variant, characters)
    before = contents()
    works("import-book", str(file), "--variant", variant, "--characters", characters)
    after, place = contents(), Path("data/imported/Seq2seq")
    assert {path: after[path] for path in before} == before
    assert all(place in path.parents for path in after.keys() - before.keys())
    theirs, ours = scores(place / "evaluation"), scores(study.evaluation(variant))
    assert theirs.keys() == ours.keys()
    assert theirs == pytest.approx(ours, rel=1e-5)
    record = read_record(place / "models/seed-0")
    assert record.subject.variant == "Seq2seq" and record.subject.plan == sha256(file)
    assert record.environment == {"imported_file": file.name, "imported_sha256": sha256(file)}
    assert record.options.init == "book" and record.options.seeds == [0]
    said = [
        folder / "seed-0/samples.txt"
        for folder in (place / "evaluation", study.evaluation(variant))
    ]
    assert said[0].read_text() == said[1].read_text()
    parameters = [
        dict(read_model(of / "seed-0").model.named_parameters())
        for of in (place / "models", study.model(variant))
    ]
    for name, parameter in parameters[1].items():
        if "bias_" not in name:  # two there, their sum here
            assert torch.equal(parameters[0][name], parameter), name


@pytest.mark.slow
def test_what_mlflow_holds(study, client, empty_database, monkeypatch):
    track(study)
    champion = client.get_model_version_by_alias("addition", "champion").version
    file = book_file(study, "plain", STANDARD)
    told = works(
        "import-book", str(file), "--variant", "plain", "--characters", STANDARD, "--name", "mine"
    )
    assert "mine" in told and "created" in told
    tags = {"imported.file": "Seq2seq.pkl", "imported.sha256": sha256(file)}
    version = client.get_model_version_by_alias("addition", "mine")
    assert tags.items() <= version.tags.items() and version.version != champion
    assert client.get_model_version_by_alias("addition", "champion").version == champion
    experiment = client.get_experiment_by_name("addition")
    described = experiment.tags
    runs = client.search_runs([experiment.experiment_id], "tags.variant = 'mine'")
    assert sorted(run.data.tags["unroll.level"] for run in runs) == ["seed", "variant"]
    for run in runs:
        assert tags.items() <= run.data.tags.items()
        assert "test/exact_match" in run.data.metrics
        assert not {"epochs", "optimizer", "learning_rate"} & run.data.params.keys()
        assert run.data.params["hidden_size"] == "4"
        assert not any(name.startswith(("work/", "system/")) for name in run.data.metrics)
        assert "Imported from Seq2seq.pkl" in run.data.tags["mlflow.note.content"]
    # It is served as any other.
    place = client.get_logged_model(version.source.removeprefix("models:/")).artifact_location
    answered = mlflow.pyfunc.load_model(place).predict(pd.DataFrame({"text": ["1+1", "7+8"]}))
    of_record = read_model(Path("data/imported/mine/models/seed-0"))
    expected = of_record.record.kind.answer(of_record, ["1+1", "7+8"], PairsRequest())
    assert list(answered["answer"]) == [text for text, _ in expected]
    # `compare` shows it among the others, as it lies here.
    [line] = [line for line in works("compare").splitlines() if " mine " in line]
    assert "*" in line and "from Seq2seq.pkl" in line
    # Tracking leaves it, and brings it into another database.
    works("track")
    assert {run.info.run_id for run in runs} == {
        run.info.run_id
        for run in client.search_runs([experiment.experiment_id], "tags.variant = 'mine'")
    }
    assert client.get_experiment(experiment.experiment_id).tags == described
    assert client.get_model_version_by_alias("addition", "mine").version == version.version
    shutil.copy(empty_database, "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    rows = [line.split() for line in works("track").splitlines()]
    assert [row[1:3] for row in rows if row[0] == "mine"] == [["all", "created"], ["0", "created"]]


def test_language_models_have_the_sizes_of_the_file(study):
    works("prepare", "prose")
    random = np.random.default_rng(0)
    V = len(WORDS) + 1
    saved(Path("Rnnlm.pkl"), rnnlm(random, V, 3, 5))
    saved(Path("Better.pkl"), better_rnnlm(random, V, 4))
    works("import-book", "Rnnlm.pkl", "--variant", "rnnlm")
    works("import-book", "Better.pkl", "--variant", "better")
    found = {name: one for one in all_imported(study) for name in one.variants}
    sizes = {
        name: (one.variants[name].embedding_size, one.variants[name].hidden_size)
        for name, one in found.items()
    }
    assert sizes == {"Rnnlm": (3, 5), "Better": (4, 4)}
    for name in found:
        metrics = json.loads(Path(f"data/imported/{name}/metrics.json").read_text())
        methods = ("perplexity", "perplexity_temperature")
        assert metrics.keys() == {f"{s}_{m}" for s in ("valid", "test") for m in methods}
    record = read_record(Path("data/imported/Better/models/seed-0"))
    assert record.parameters == V * 4 + V + 2 * (2 * 4 * 16 + 16)


def test_what_is_there_is_not_replaced_untold(study):
    works("prepare", "prose")
    random, V = np.random.default_rng(0), len(WORDS) + 1
    saved(Path("Rnnlm.pkl"), rnnlm(random, V, 3, 5))
    works("import-book", "Rnnlm.pkl", "--variant", "rnnlm")
    said = fails("import-book", "Rnnlm.pkl", "--variant", "rnnlm")
    assert said == "data/imported/Rnnlm is there already; choose another --name, or --replace it"
    said = fails("import-book", "Rnnlm.pkl", "--variant", "rnnlm", "--name", "better")
    assert said == "better is a variant of params.yaml; choose another --name"
    said = fails("import-book", "Rnnlm.pkl", "--variant", "rnnlm", "--name", "a.b")
    assert said.startswith("'a.b' cannot be the name of a model: ")
    saved(Path("Rnnlm.pkl"), rnnlm(random, V, 2, 3))
    works("import-book", "Rnnlm.pkl", "--variant", "rnnlm", "--replace")
    assert read_record(Path("data/imported/Rnnlm/models/seed-0")).options.hidden_size == 3


def test_what_cannot_be_imported_is_said_in_words(study):
    random, V = np.random.default_rng(0), len(WORDS) + 1
    saved(Path("Rnnlm.pkl"), rnnlm(random, V, 3, 5))
    said = fails("import-book", "Rnnlm.pkl", "--variant", "rnnlm")
    assert said.startswith("data/prepared/prose ") and said.endswith("prepare@prose")
    works("prepare", "prose")
    said = fails("import-book", "Rnnlm.pkl", "--variant", "skipping")
    assert said.startswith("params.yaml: skipping is no model of the book:\n  skip_connections: ")
    said = fails("import-book", "Rnnlm.pkl", "--variant", "rnnlm", "--characters", "ab")
    assert said == "--characters: words are numbered as in the book; leave it out"
    said = fails("import-book", "nowhere.pkl", "--variant", "rnnlm")
    assert said.startswith("nowhere.pkl cannot be read ")
    said = fails("import-book", "Rnnlm.pkl", "--variant", "plain", "--characters", STANDARD)
    assert said.startswith("Rnnlm.pkl: it has 6 arrays, where a model with encoder and decoder ")
    saved(Path("Seq2seq.pkl"), pairs_model(random, "plain", 13, 3, 5))
    said = fails("import-book", "Seq2seq.pkl", "--variant", "plain")
    assert f'--characters "{STANDARD}"' in said
    said = fails("import-book", "Seq2seq.pkl", "--variant", "plain", "--characters", "0123456789+_")
    assert said.startswith("--characters: '0123456789+_' are not those of the data, ")
    said = fails("import-book", "Seq2seq.pkl", "--variant", "translator")
    assert "has one vocabulary for questions and answers, and the data of numbers have two" in said


def test_a_file_of_the_book_s_format_numbers_characters_as_the_book(study):
    sums = ((1, 6), (7, 5), (2, 0), (3, 8), (4, 9), (1, 1), (2, 2), (3, 3), (0, 5), (6, 6), (8, 9))
    lines = [f"{a}+{b}_{a + b:<2}" for a, b in sums]
    Path("addition.txt").write_text("\n".join(lines) + "\n")
    params = Path("params.yaml")
    params.write_text(
        params.read_text().replace("max_digits: 1,", "max_digits: 1, source: addition.txt,")
    )
    works("prepare", "addition")
    form = json.loads(Path("data/prepared/addition/form.json").read_text())
    characters = "".join(form["source"]["symbols"])
    assert characters == "1+6_7 5203849"
    file = book_file(study, "plain", characters)
    works("import-book", str(file), "--variant", "plain", "--name", "as-it-is")
    works("import-book", str(file), "--variant", "plain", "--characters", characters, "--name", "b")
    places = [Path(f"data/imported/{name}/evaluation") for name in ("as-it-is", "b")]
    assert scores(places[0]) == scores(places[1])
