import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.toys import DIGITS, few_examples, pairs_options, subject, task_section
from unroll import study
from unroll.storage.files import new_folder, write_text
from unroll.errors import DataError
from unroll.evaluation.scores import (
    COLUMNS,
    is_scored,
    read_scores,
    scores_of,
    show,
    six_digits,
    summary,
    write_runs,
    write_scores,
)
from unroll.runs.record import Record

REMEDY = "run: dvc repro evaluate@v"
SCORES = {
    0: {"test_exact_match": 0.1 + 0.2, "test_perplexity": 1e-17},
    10: {"test_exact_match": 1 / 3, "test_perplexity": 112.7},
    2: {"test_exact_match": 1.0, "test_perplexity": 5.0},
}

values = st.floats(allow_nan=False, allow_infinity=False, width=64)


def write(folder, scores):
    with new_folder(folder) as new:
        write_scores(new, scores)
    return folder


def rows(scores):
    return [(seed, m, value) for seed, metrics in scores.items() for m, value in metrics.items()]


def table(**metrics):
    return pd.DataFrame(
        [(seed, m, v) for m, of_seeds in metrics.items() for seed, v in enumerate(of_seeds)],
        columns=COLUMNS,
    )


def test_what_is_written_is_read_bit_for_bit_in_the_same_order(tmp_path):
    found = read_scores(write(tmp_path / "v", SCORES), REMEDY)
    assert list(found.itertuples(index=False, name=None)) == rows(SCORES)


@few_examples
@given(scores=st.dictionaries(st.integers(0, 10**6), values, min_size=1))
def test_every_number_comes_back(tmp_path_factory, scores):
    folder = write(
        tmp_path_factory.mktemp("scores") / "v", {s: {"m": v} for s, v in scores.items()}
    )
    assert dict(read_scores(folder, REMEDY)[["seed", "value"]].to_numpy().tolist()) == scores


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


@pytest.mark.parametrize(
    ("metric", "mean", "std", "text"),
    [
        ("test_exact_match", 0.1234, 0.0456, "12.3 ± 4.6 %"),
        ("test_exact_match", 0.1234, math.nan, "12.3 %"),
        ("test_character_accuracy", 1.0, 0.0, "100.0 ± 0.0 %"),
        ("test_perplexity", 112.76, 3.14, "112.8 ± 3.1"),
        ("valid_perplexity", 112.76, math.nan, "112.8"),
    ],
)
def test_values_are_shown_as_people_write_them(metric, mean, std, text):
    assert show(metric, mean, std) == text


def test_a_missing_folder_says_how_to_make_it(tmp_path):
    with pytest.raises(DataError, match=rf"v is missing or incomplete; {REMEDY}$"):
        read_scores(tmp_path / "v", REMEDY)


def test_a_folder_without_scores_is_refused(tmp_path):
    with new_folder(tmp_path / "v"):
        pass
    with pytest.raises(DataError, match=rf"scores\.csv cannot be read \(.*; {REMEDY}$"):
        read_scores(tmp_path / "v", REMEDY)


def test_a_damaged_file_is_refused(tmp_path):
    path = write(tmp_path / "v", SCORES) / "scores.csv"
    path.write_text(path.read_text().replace("112.7", "112.8"))
    with pytest.raises(DataError, match=rf"scores\.csv is damaged.*{REMEDY}$"):
        read_scores(tmp_path / "v", REMEDY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed,value\n0,1\n", r"scores\.csv has the columns seed, value; "),
        ("seed,metric,value,more\n0,a,1,2\n", r"has the columns seed, metric, value, more; "),
        ("metric,seed,value\na,0,1\n", r"has the columns metric, seed, value; "),
        ("", r"scores\.csv cannot be read \("),
        ("seed,metric,value\n0,a,1\n0,a,2\n", r"scores\.csv holds no scores"),
        ("seed,metric,value\n0,a,1\n1,a,\n", r"scores\.csv holds no scores"),
        ("seed,metric,value\n0,a,good\n", r"the column value holds more than numbers"),
        ("seed,metric,value\n0,a,1\n0,a,1,2,3\n", r"scores\.csv cannot be read \("),
    ],
    ids=[
        "one missing",
        "one more",
        "other order",
        "empty",
        "twice",
        "no number",
        "a word",
        "ragged",
    ],
)
def test_a_file_with_other_columns_is_refused(tmp_path, text, message):
    with new_folder(tmp_path / "v") as new:
        write_text(new / "scores.csv", text)
    with pytest.raises(DataError, match=rf"(?s){message}.*{REMEDY}$"):
        read_scores(tmp_path / "v", REMEDY)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "params.yaml", f"tasks:\n{task_section('sums', 4)}variants: {VARIANTS}\n")
    return study.load()


VARIANTS = "{v: {task: sums, seeds: [0, 1]}}"
RECORDS = [Record(subject(pairs_options(seeds=[0, 1])), s, 1, {}, DIGITS, None) for s in (0, 1)]
LATER = [Record(subject(pairs_options(epochs=9)), s, 1, {}, DIGITS, None) for s in (0, 1)]


@pytest.mark.parametrize("records", [[], RECORDS[:1], LATER, [LATER[0], RECORDS[1]]])
def test_scores_of_another_training_are_refused(study, records):
    with new_folder(study.evaluation("v")) as new:
        write_scores(new, {0: {"a": 0.5}, 1: {"a": 0.25}})
        write_runs(new, records)
    assert not is_scored(study, "v", RECORDS)
    with pytest.raises(DataError, match=r"v is not of the training that left the models; .*v$"):
        scores_of(study, "v", RECORDS)


@pytest.mark.parametrize("scores", [{0: {"a": 0.5}}, {0: {"a": 0.5}, 2: {"a": 0.25}}])
def test_scores_of_other_seeds_are_refused(study, scores):
    with new_folder(study.evaluation("v")) as new:
        write_scores(new, scores)
        write_runs(new, RECORDS)
    with pytest.raises(DataError, match="is not of the training that left the models"):
        scores_of(study, "v", RECORDS)


def test_scores_of_the_runs_that_left_the_records_are_taken(study):
    assert not is_scored(study, "v", RECORDS)
    with new_folder(study.evaluation("v")) as new:
        write_scores(new, {0: {"a": 0.5}, 1: {"a": 0.25}})
        write_runs(new, RECORDS)
    assert is_scored(study, "v", RECORDS)
    assert scores_of(study, "v", RECORDS)["value"].tolist() == [0.5, 0.25]


def test_scores_that_do_not_say_which_runs_they_are_of_are_refused(study):
    write(study.evaluation("v"), {0: {"a": 0.5}, 1: {"a": 0.25}})
    with pytest.raises(DataError, match=r"runs\.json cannot be read"):
        scores_of(study, "v", RECORDS)
