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
        "high", "modes", "reference", "verdict", "seconds",
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
    assert row["verdict"] == "one seed gives no verdict"


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
    assert found.loc["valid_perplexity", "ahead"] == 3


def test_a_mean_perplexity_is_the_geometric_one_within_its_interval():
    found = table_of(Asked(), lm=corpus_result(*([2 * np.log(of)] for of in (90.0, 100.0, 160.0))))
    row = found.loc[("lm", "valid_perplexity")]
    assert row["mean"] == pytest.approx((90 * 100 * 160) ** (1 / 3))
    assert np.log(row["high"] / row["mean"]) == pytest.approx(np.log(row["mean"] / row["low"]))


STUCK = [[1] * 10 + [0] * 90] * 3
LEARNED = [[1] * 86 + [0] * 14]


def test_seeds_of_two_kinds_have_no_interval_and_are_counted():
    mixed = pairs_result(*STUCK, *LEARNED)
    found = table_of(Asked(mixed="poor"), mixed=mixed, poor=pairs_result(*STUCK, *STUCK[:1]))
    row = found.loc[("mixed", "test_exact_match")]
    assert np.isnan([row["low"], row["high"]]).all()
    assert row["modes"] == "1 of 4 seeds at 86.0 %, 3 at 10.0 %"
    assert row["verdict"] == "seeds of two kinds"


def test_that_more_seeds_learn_is_told_by_their_shares():
    mostly = pairs_result(*LEARNED * 7, *STUCK[:1])
    stuck = pairs_result(*STUCK * 2, *STUCK[:2])
    found = judge(Asked(mostly="stuck"), {"mostly": mostly, "stuck": stuck}).set_index("metric")
    row = found.loc["test_exact_match"]
    assert row["verdict"] == "better"
    assert row["modes"] == "mostly: 7 of 8 seeds at 86.0 %, 1 at 10.0 %"
    assert row["p_value"] < 0.002 and np.isnan(row["low"])
    other = judge(Asked(stuck="mostly"), {"mostly": mostly, "stuck": stuck}).set_index("metric")
    assert other.loc["test_exact_match", "verdict"] == "worse"


def test_two_seeds_give_no_verdict_however_clear_it_looks():
    two = [pairs_result(*([[1] * n + [0] * (100 - n)] * 2)) for n in (10, 90)]
    found = judge(Asked(a="b"), {"a": two[1], "b": two[0]}).iloc[0]
    assert found["verdict"] == "two seeds give no verdict"
    assert np.isnan([found["p_value"], found["seeds_that_tell"]]).all()


def test_all_right_against_all_wrong_is_told():
    every, none = pairs_result(*[[1] * 100] * 4), pairs_result(*[[0] * 100] * 4)
    found = judge(Asked(a="b"), {"a": every, "b": none}).iloc[0]
    assert (found["verdict"], found["ahead"]) == ("better", 4)
    assert 0 < found["p_value"] < 1e-4


def test_how_many_seeds_would_tell_a_small_difference_is_said():
    near, far = (
        pairs_result(*([1] * right + [0] * (400 - right) for right in seeds))
        for seeds in ((205, 212, 190), (200, 190, 195))
    )
    found = judge(Asked(a="b"), {"a": near, "b": far}).iloc[0]
    assert found["verdict"] == "cannot be told at 3 seeds"
    assert 3 < found["seeds_that_tell"] <= 40


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
