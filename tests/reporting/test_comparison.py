import numpy as np
import pandas as pd
import pytest

from reporting.made import GOOD, POOR, Asked, corpus_result, pairs_result
from unroll.reporting.comparison import compare, judge
from unroll.reporting.results import Result


def table_of(study: Asked, **results: Result) -> pd.DataFrame:
    found = compare(study, results, judge(study, results))
    return found.set_index(["variant", "metric"])


def test_a_comparison_has_the_columns_that_are_promised():
    found = table_of(Asked(), good=GOOD).reset_index()
    assert set(found.columns) == {
        "study", "task", "variant", "metric", "parameters", "seeds", "mean", "std", "low",
        "high", "reference", "verdict", "seconds",
    }  # fmt: skip


def test_a_clear_difference_is_told_in_both_directions():
    found = table_of(Asked(good="poor", poor="good"), good=GOOD, poor=POOR)
    assert found.loc[("good", "test_exact_match"), "verdict"] == "better"
    assert found.loc[("poor", "test_exact_match"), "verdict"] == "worse"
    row = found.loc[("good", "test_exact_match")]
    assert row["low"] < row["mean"] < row["high"] <= 1
    assert row["mean"] == pytest.approx((90 + 92 + 89) / 300)


def test_of_equal_variants_nothing_can_be_told():
    other = pairs_result([0] * 10 + [1] * 90, [0] * 11 + [1] * 89, [0] * 8 + [1] * 92)
    found = table_of(Asked(good="other"), good=GOOD, other=other)
    assert found.loc[("good", "test_exact_match"), "verdict"] == "cannot be told at 3 seeds"


def test_one_seed_has_no_interval_and_no_verdict():
    one = pairs_result([1] * 60 + [0] * 40)
    found = table_of(Asked(one="poor"), one=one, poor=POOR)
    row = found.loc[("one", "test_exact_match")]
    assert np.isnan(row["low"])
    assert row["verdict"] == "cannot be told at one seed"


def test_a_lower_perplexity_is_better():
    low, high = (
        corpus_result(*([2 * np.log(perplexity)] for perplexity in perplexities))
        for perplexities in ((100.0, 101.0, 99.0), (130.0, 131.0, 128.0))
    )
    study = Asked(low="high")
    found = judge(study, {"low": low, "high": high}).set_index("metric")
    assert found.loc["valid_perplexity", "verdict"] == "better"
    assert found.loc["valid_perplexity", "superiority"] == 1.0
    assert found.loc["valid_perplexity", "difference"] == pytest.approx(100 / 129.66 - 1, abs=1e-3)


def test_variants_are_compared_on_the_seeds_that_both_have():
    fewer = pairs_result([1] * 90 + [0] * 10, [1] * 92 + [0] * 8)
    found = judge(Asked(fewer="poor"), {"fewer": fewer, "poor": POOR})
    assert set(found["seeds"]) == {2}


def test_p_values_are_corrected_for_the_variants_of_a_task():
    study = Asked(a="poor", b="poor", c="poor")
    alone = judge(Asked(a="poor"), {"a": GOOD, "poor": POOR}).iloc[0]
    together = judge(study, {"a": GOOD, "b": GOOD, "c": GOOD, "poor": POOR}).iloc[0]
    assert together["p_value"] == alone["p_value"]
    assert together["p_corrected"] == pytest.approx(3 * alone["p_value"])


def test_a_difference_of_shares_stays_within_what_is_possible():
    all_right, all_wrong = pairs_result([1, 1], [1, 0]), pairs_result([0, 0], [0, 1])
    found = judge(Asked(a="b"), {"a": all_right, "b": all_wrong}).set_index("metric")
    row = found.loc["test_exact_match"]
    assert -1 <= row["low"] < row["difference"] < row["high"] == 1


def test_the_interval_of_a_test_perplexity_is_that_of_its_sentences():
    random = np.random.default_rng(1)
    seeds = [random.normal(4, 1, 400) + random.normal(0, 0.01) for _ in range(3)]
    found = table_of(Asked(), lm=corpus_result(*(list(s) for s in seeds)))
    row = found.loc[("lm", "test_perplexity")]
    assert row["mean"] == pytest.approx(np.exp(2), rel=0.05)
    assert row["low"] < row["mean"] < row["high"]
    # Of the validation split only the seeds are known.
    assert found.loc[("lm", "valid_perplexity"), "low"] > 0
