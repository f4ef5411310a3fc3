"""What a variant has left is read for the report, and nothing that is damaged."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.toys import corpus_options, pairs_options, record, task_section
from reporting.made import COUNTS, POOR, TEXT, circumstances, corpus_result, of_texts, pairs_result
from unroll import study as studies
from unroll.errors import DataError
from unroll.evaluation.evaluation import SAMPLES
from unroll.evaluation.items import NAME, Item, write_items
from unroll.evaluation.maps import write_maps
from unroll.evaluation.scores import write_scores
from unroll.generation.novelty import COLUMNS, FILE
from unroll.options import VariantOptions
from unroll.reporting.results import read_result
from unroll.runs.circumstances import EPOCHS, SESSION
from unroll.runs.record import Record, seed_folder, write_documents
from unroll.runs.subject import Subject
from unroll.storage.files import write_json, write_text
from unroll.storage.folders import new_folder
from unroll.storage.tables import write_table
from unroll.study import Study

SEEDS = (3, 1)
RIGHT = {3: [1, 0, 0, 1], 1: [1, 1, 0, 1]}
MAP = {"question": ["1", " "], "answer": ["3"], "right": True, "weights": [[0.25, 0.75]]}
REMEDY = r"; run: dvc repro evaluate@v$"


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    monkeypatch.chdir(tmp_path)
    variants = "variants: {v: {task: sums, seeds: [3, 1]}}\n"
    write_text(tmp_path / "params.yaml", f"tasks:\n{task_section('sums', 4)}{variants}")
    return studies.load()


def of_study(options: VariantOptions, task=None) -> list[Record]:
    """Return the records of the variant v of the root study."""
    found = []
    for seed in SEEDS:
        one = record(options, task, seed)
        subject = Subject("root", "v", options, "ab" * 32, "cd" * 32, one.subject.machine)
        found.append(Record(subject, seed, *list(vars(one).values())[2:]))
    return found


def evaluate(study: Study, records: list[Record]) -> Path:
    """Leave what an evaluation leaves."""
    known = circumstances(1)[0]
    with new_folder(study.evaluation("v")) as folder:
        write_scores(folder, {s: {"test_exact_match": float(np.mean(RIGHT[s]))} for s in RIGHT})
        write_json(folder / "counts.json", COUNTS)
        for one in records:
            inner = seed_folder(folder, one.seed)
            write_documents(inner, one)
            write_table(inner / EPOCHS, known.epochs[:1])
            write_json(inner / SESSION, known.session.model_dump())
            write_items(inner, {"exact_match": Item(np.array(RIGHT[one.seed], np.uint8))})
            write_table(inner / "breakdown.csv", of_texts(RIGHT[one.seed], RIGHT[one.seed]))
            write_text(inner / SAMPLES, f"Q of seed {one.seed}\n")
            write_maps(inner, [MAP] * one.seed)
    return study.evaluation("v")


def test_all_that_is_known_is_read_in_the_order_of_the_seeds(study):
    evaluate(study, of_study(pairs_options(seeds=[3, 1])))
    found = read_result(study, "v")
    assert found.kind.name == "pairs"
    assert found.seeds == [1, 3]
    assert found.parameters == 7
    assert [of["exact_match"].values.tolist() for of in found.items] == [RIGHT[1], RIGHT[3]]
    assert [len(maps) for maps in found.maps] == [1, 3]
    assert found.maps[0][0].model_dump() == MAP
    assert list(found.circumstances) == [1, 3]
    assert found.seconds == pytest.approx(1.6)
    assert found.counts == COUNTS
    assert found.samples == "Q of seed 1\n"
    assert found.novelty is None
    for seed in SEEDS:
        table = found.breakdown[found.breakdown["seed"] == seed].drop(columns="seed")
        expected = of_texts(RIGHT[seed], RIGHT[seed])
        pd.testing.assert_frame_equal(table.reset_index(drop=True), expected, check_dtype=False)


def test_what_a_language_model_wrote_is_read_beside_its_evaluation(study):
    evaluate(study, of_study(pairs_options(seeds=[3, 1])))
    known = pd.DataFrame([("samples", 2, 5, 0.4)], columns=COLUMNS)
    with new_folder(study.generated("v")) as folder:
        write_table(folder / FILE, known)
        write_text(folder / SAMPLES, "=== you\nyou know.\n")
    found = read_result(study, "v")
    assert found.novelty["in_train"].tolist() == [0.4]
    assert found.samples == "=== you\nyou know.\n"
    with new_folder(study.generated("v")) as folder:
        write_text(folder / FILE, "text,n\n")
    with pytest.raises(DataError, match=r"novelty\.csv has the columns.*; run: dvc repro gen.*@v$"):
        read_result(study, "v")


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        (f"seed-1/{NAME}", b"", r"items\.safetensors"),
        ("seed-1/breakdown.csv", b"property\n", r"breakdown\.csv"),
        ("seed-3/attention.json", b"{}", r"attention\.json"),
        ("seed-3/session.json", b"{}", r"session\.json"),
        ("seed-3/epochs.csv", None, r"epochs\.csv"),
        ("scores.csv", None, r"scores\.csv"),
        ("counts.json", b"1", r"counts\.json"),
    ],
)
def test_what_is_missing_or_damaged_is_named_with_the_way_out(study, name, content, fault):
    path = evaluate(study, of_study(pairs_options(seeds=[3, 1]))) / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=fault + r".*" + REMEDY):
        read_result(study, "v")


def test_results_that_are_not_of_all_seeds_are_refused(study):
    evaluate(study, of_study(pairs_options(seeds=[3, 1, 2])))
    with pytest.raises(DataError, match="does not hold all seeds of one training" + REMEDY):
        read_result(study, "v")


def test_outcomes_are_those_of_the_items_in_the_order_that_is_asked_for():
    result = pairs_result([1, 0, 1, 1], [0, 0, 1, 1])
    assert result.outcomes("test_exact_match", [1, 0]).tolist() == [[0, 0, 1, 1], [1, 0, 1, 1]]
    assert result.outcomes("test_exact_match", [1]).tolist() == [[0, 0, 1, 1]]


def test_of_validation_the_outcomes_are_the_scores_of_the_seeds_on_their_scale():
    pairs, corpus = pairs_result([1, 0], [1, 1]), corpus_result([2.0, 4.0], [6.0, 2.0])
    assert pairs.outcomes("valid_exact_match", [1, 0]).tolist() == [[0.5], [0.25]]
    found = corpus.outcomes("valid_perplexity", [0, 1])
    assert found == pytest.approx(np.array([[1.5], [2.0]]))  # nats a word
    tested = corpus.outcomes("test_perplexity", [0, 1])
    assert tested == pytest.approx(np.array([[1.0, 2.0], [3.0, 1.0]]))


def test_the_best_seed_is_that_of_validation():
    assert POOR.best == 1
    assert corpus_result([4.0], [2.0], [3.0]).best == 1
    assert POOR.seconds == pytest.approx(2 * (2.5 + 0.1))


def test_a_result_of_a_language_model_is_of_its_kind():
    records = of_study(corpus_options(seeds=[3, 1]), TEXT)
    assert {one.kind.name for one in records} == {"corpus"}
    assert corpus_result([4.0]).kind is records[0].kind
