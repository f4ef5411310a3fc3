import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples, pairs_options, record, task_section
from unroll import study as studies
from unroll.errors import DataError
from unroll.evaluation.scores import (
    COLUMNS,
    is_scored,
    read_scores,
    scores_of,
    six_digits,
    summary,
    write_scores,
)
from unroll.kinds import named
from unroll.runs.record import seed_folder, write_documents
from unroll.storage.files import write_text
from unroll.storage.folders import new_folder

PAIRS = named("pairs")
SCORES = {
    0: {"test_exact_match": 0.1 + 0.2, "valid_character_accuracy": 1e-17},
    10: {"test_exact_match": 1 / 3, "valid_character_accuracy": 0.7},
    2: {"test_exact_match": 1.0, "valid_character_accuracy": 5e-1},
}

values = st.floats(allow_nan=False, allow_infinity=False, width=64)


def rows(scores):
    return [(seed, m, value) for seed, metrics in scores.items() for m, value in metrics.items()]


def table(**metrics):
    return pd.DataFrame(
        [(seed, m, v) for m, of_seeds in metrics.items() for seed, v in enumerate(of_seeds)],
        columns=COLUMNS,
    )


def test_what_is_written_is_read_bit_for_bit_in_the_same_order(tmp_path):
    write_scores(tmp_path, SCORES)
    found = read_scores(tmp_path, PAIRS)
    assert list(found.itertuples(index=False, name=None)) == rows(SCORES)


@few_examples
@given(scores=st.dictionaries(st.integers(0, 10**6), values, min_size=1))
def test_every_number_comes_back(tmp_path_factory, scores):
    folder = tmp_path_factory.mktemp("scores")
    write_scores(folder, {s: {"test_exact_match": v} for s, v in scores.items()})
    assert dict(read_scores(folder, PAIRS)[["seed", "value"]].to_numpy().tolist()) == scores


def test_the_file_is_a_table_of_seed_metric_and_value(tmp_path):
    write_scores(tmp_path, {3: {"a": 0.5, "b": 2.0}, 4: {"a": 0.25}})
    assert (tmp_path / "scores.csv").read_bytes() == (
        b"seed,metric,value\n3,a,0.5\n3,b,2.0\n4,a,0.25\n"
    )


@few_examples
@given(
    of_seeds=st.lists(
        st.tuples(st.floats(0, 1), st.floats(1, 1000)), min_size=2, max_size=6, unique=True
    )
)
def test_mean_and_standard_deviation_are_those_of_numpy(of_seeds):
    accuracies, perplexities = np.array(of_seeds).T
    found = summary(table(test_exact_match=accuracies, test_perplexity=perplexities))
    assert list(found) == ["test_exact_match", "test_perplexity"]
    for values, pair in zip((accuracies, perplexities), found.values(), strict=True):
        expected = (values.mean(), values.std(ddof=1))
        assert pair == pytest.approx(expected, rel=1e-5, abs=1e-12)


def test_one_seed_has_no_standard_deviation():
    mean, std = summary(table(test_exact_match=[0.25]))["test_exact_match"]
    assert mean == 0.25
    assert math.isnan(std)


def test_metrics_are_summed_up_in_the_order_in_which_they_stand():
    assert list(summary(table(z=[1.0], a=[2.0], m=[3.0]))) == ["z", "a", "m"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1 / 3, 0.333333),
        (2 / 3, 0.666667),
        (112.7654321, 112.765),
        (1234567.8, 1234570.0),
        (1.23456789e-9, 1.23457e-9),
        (0.0, 0.0),
        (-1 / 3, -0.333333),
    ],
)
def test_results_have_six_significant_digits(value, expected):
    assert six_digits(value) == expected


@few_examples
@given(value=st.floats(1e-300, 1e300))
def test_rounding_a_result_twice_changes_nothing_more(value):
    assert six_digits(value) == pytest.approx(value, rel=5.1e-6)
    assert six_digits(six_digits(value)) == six_digits(value)


def test_a_folder_without_scores_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"scores\.csv cannot be read \("):
        read_scores(tmp_path, PAIRS)


NO_SCORES = r"scores\.csv holds no scores: one value for each seed and metric"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed,value\n0,1\n", r"scores\.csv has the columns seed, value$"),
        ("seed,metric,value,more\n0,M,1,2\n", r"has the columns seed, metric, value, more$"),
        ("metric,seed,value\nM,0,1\n", r"has the columns metric, seed, value$"),
        ("", r"scores\.csv cannot be read \("),
        ("seed,metric,value\n0,M,1\n0,M,2\n", NO_SCORES),
        ("seed,metric,value\n0,M,1\n1,M,\n", NO_SCORES),
        ("seed,metric,value\n-1,M,1\n", NO_SCORES),
        ("seed,metric,value\n0.5,M,1\n", NO_SCORES),
        ("seed,metric,value\n0,test_accuracy,1\n", NO_SCORES),
        ("seed,metric,value\n0,train_exact_match,1\n", NO_SCORES),
        ("seed,metric,value\n0,M,good\n", r"the column value holds more than numbers"),
        ("seed,metric,value\n0,M,1\n0,M,1,2,3\n", r"scores\.csv cannot be read \("),
    ],
    ids=[
        "one missing",
        "one more",
        "other order",
        "empty",
        "twice",
        "no number",
        "a seed below zero",
        "half a seed",
        "a metric of another kind",
        "a split that is not scored",
        "a word",
        "ragged",
    ],
)
def test_a_file_that_holds_no_scores_is_refused(tmp_path, text, message):
    write_text(tmp_path / "scores.csv", text.replace("M", "test_exact_match"))
    with pytest.raises(DataError, match=message):
        read_scores(tmp_path, PAIRS)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "params.yaml", f"tasks:\n{task_section('sums', 4)}variants: {VARIANTS}\n")
    return studies.load()


VARIANTS = "{v: {task: sums, seeds: [0, 1]}}"
RECORDS = [record(pairs_options(seeds=[0, 1]), seed=s) for s in (0, 1)]
LATER = [record(pairs_options(epochs=9), seed=s) for s in (0, 1)]
EXACT = {0: {"test_exact_match": 0.5}, 1: {"test_exact_match": 0.25}}
REMEDY = r"; run: dvc repro evaluate@v$"


def evaluate(study, scores, records):
    """Leave the scores of the runs that left these records."""
    with new_folder(study.evaluation("v")) as new:
        write_scores(new, scores)
        for one in records:
            write_documents(seed_folder(new, one.seed), one)
    return study.evaluation("v")


@pytest.mark.parametrize("records", [RECORDS[:1], LATER, [LATER[0], RECORDS[1]]])
def test_scores_of_another_training_are_refused(study, records):
    evaluate(study, EXACT, records)
    assert not is_scored(study, "v", RECORDS)
    message = "v is not of the training that left the models"
    with pytest.raises(DataError, match=message + REMEDY):
        scores_of(study, "v", RECORDS)


@pytest.mark.parametrize("seeds", [{0: 0}, {0: 0, 2: 1}, {0: 0, 1: 1, 2: 0}])
def test_scores_of_other_seeds_are_refused(study, seeds):
    evaluate(study, {seed: EXACT[of] for seed, of in seeds.items()}, RECORDS)
    with pytest.raises(DataError, match="is not of the training that left the models"):
        scores_of(study, "v", RECORDS)


def test_scores_of_the_runs_that_left_the_records_are_taken(study):
    assert not is_scored(study, "v", RECORDS)
    evaluate(study, EXACT, RECORDS)
    assert is_scored(study, "v", RECORDS)
    assert scores_of(study, "v", RECORDS)["value"].tolist() == [0.5, 0.25]


def test_scores_that_do_not_say_which_runs_they_are_of_are_none_of_theirs(study):
    evaluate(study, EXACT, [])
    assert not is_scored(study, "v", RECORDS)
    with pytest.raises(DataError, match=r"is not of the training that left the models" + REMEDY):
        scores_of(study, "v", RECORDS)


def test_a_variant_that_is_not_evaluated_says_how_to_do_it(study):
    with pytest.raises(DataError, match=r"v is missing or incomplete" + REMEDY):
        scores_of(study, "v", RECORDS)


def test_a_damaged_file_is_refused(study):
    path = evaluate(study, EXACT, RECORDS) / "scores.csv"
    path.write_text(path.read_text().replace("0.25", "0.75"))
    with pytest.raises(DataError, match=r"scores\.csv is damaged.*" + REMEDY):
        scores_of(study, "v", RECORDS)


def test_a_metric_that_the_kind_does_not_have_is_refused_with_the_way_out(study):
    evaluate(study, {0: {"test_accuracy": 3.0}, 1: {"test_accuracy": 4.0}}, RECORDS)
    with pytest.raises(DataError, match=r"scores\.csv holds no scores.*" + REMEDY):
        scores_of(study, "v", RECORDS)
