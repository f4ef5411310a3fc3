from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

from models.toys import DIGITS, pairs_options, subject
from unroll.config import Comparison
from unroll.evaluation.scores import show
from unroll.record import Record
from unroll.reporting.comparison import Result, compare, curves, judge, markdown
from unroll.reporting.figures import learning_curves


def test_fractions_are_shown_as_percent_and_perplexity_is_not():
    assert show("test_exact_match", 0.1234, 0.02) == "12.3 ± 2.0 %"
    assert show("test_perplexity", 136.07, 0.44) == "136.1 ± 0.4"


def test_one_seed_has_no_spread():
    assert show("test_exact_match", 0.5, float("nan")) == "50.0 %"


class Asked:
    """A study with these references, as the comparison asks it."""

    name = "toy"
    comparison = Comparison(resamples=400)

    def __init__(self, **references: str) -> None:
        self.references = references
        self.variants = defaultdict(lambda: pairs_options(task="sums"))

    def reference(self, variant: str) -> str | None:
        return self.references.get(variant)


def result(*right: list[int], perplexities: tuple[float, ...] = ()) -> Result:
    """Return a variant whose seeds gave these right and wrong answers."""
    scores = [(seed, "test_exact_match", np.mean(r)) for seed, r in enumerate(right)]
    scores += [(seed, "valid_exact_match", np.mean(r) / 2) for seed, r in enumerate(right)]
    scores += [(seed, "valid_perplexity", p) for seed, p in enumerate(perplexities)]
    records = [Record(subject(pairs_options()), seed, 7, {}, DIGITS, None) for seed, _ in
               enumerate(right)]  # fmt: skip
    table = pd.DataFrame(scores, columns=["seed", "metric", "value"])
    return Result(records, table, [{"right": np.array(r)} for r in right], seconds=3.0)


GOOD = result([1] * 90 + [0] * 10, [1] * 92 + [0] * 8, [1] * 89 + [0] * 11)
POOR = result([1] * 20 + [0] * 80, [1] * 22 + [0] * 78, [1] * 18 + [0] * 82)


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
    other = result([0] * 10 + [1] * 90, [0] * 11 + [1] * 89, [0] * 8 + [1] * 92)
    found = table_of(Asked(good="other"), good=GOOD, other=other)
    assert found.loc[("good", "test_exact_match"), "verdict"] == "cannot be told at 3 seeds"


def test_one_seed_has_no_interval_and_no_verdict():
    one = result([1] * 60 + [0] * 40)
    found = table_of(Asked(one="poor"), one=one, poor=POOR)
    row = found.loc[("one", "test_exact_match")]
    assert np.isnan(row["low"])
    assert row["verdict"] == "cannot be told at one seed"


def test_a_lower_perplexity_is_better():
    low = result([1], [1], [1], perplexities=(100.0, 101.0, 99.0))
    high = result([1], [1], [1], perplexities=(130.0, 131.0, 128.0))
    study = Asked(low="high")
    found = judge(study, {"low": low, "high": high}).set_index("metric")
    assert found.loc["valid_perplexity", "verdict"] == "better"
    assert found.loc["valid_perplexity", "superiority"] == 1.0
    assert found.loc["valid_perplexity", "difference"] == pytest.approx(100 / 129.66 - 1, abs=1e-3)


def test_variants_are_compared_on_the_seeds_that_both_have():
    fewer = result([1] * 90 + [0] * 10, [1] * 92 + [0] * 8)
    found = judge(Asked(fewer="poor"), {"fewer": fewer, "poor": POOR})
    assert set(found["seeds"]) == {2}


def test_p_values_are_corrected_for_the_variants_of_a_task():
    study = Asked(a="poor", b="poor", c="poor")
    alone = judge(Asked(a="poor"), {"a": GOOD, "poor": POOR}).iloc[0]
    together = judge(study, {"a": GOOD, "b": GOOD, "c": GOOD, "poor": POOR}).iloc[0]
    assert together["p_value"] == alone["p_value"]
    assert together["p_corrected"] == pytest.approx(3 * alone["p_value"])


def test_markdown_ranks_variants_and_shows_intervals_and_verdicts():
    study = Asked(good="poor")
    found = table_of(study, poor=POOR, good=GOOD).reset_index()
    lines = markdown(found, 0.95).splitlines()
    assert lines[0] == (
        "| variant | parameters | seeds | test exact match [95 % interval] | ± of seeds | verdict "
        "| valid exact match |"
    )
    assert lines[2].startswith("| good | 7 | 3 | 90.3 % [")
    assert "| better than poor |" in lines[2]
    assert lines[3].startswith("| poor | 7 | 3 | 20.0 % [")


@pytest.fixture
def records():
    options = pairs_options(seeds=[0, 1])
    form = {"source_length": 4, "target_length": 5, "start": "_"}

    def record(seed: int, values: list[float]) -> Record:
        history = pd.DataFrame({"epoch": [1, 2], "valid_exact_match": values})
        return Record(subject(options), seed, 1, form, DIGITS, history)

    return {"peeky": [record(0, [0.2, 0.6]), record(1, [0.4, 1.0])]}


def test_curves_hold_mean_and_range_of_the_seeds(records):
    table = curves(records)
    assert table["valid_exact_match"].tolist() == pytest.approx([0.3, 0.8])
    assert table["min"].tolist() == [0.2, 0.6]
    assert table["max"].tolist() == [0.4, 1.0]
    assert table["variant"].tolist() == ["peeky", "peeky"]


def test_a_figure_has_the_same_bytes_each_time_and_names_its_variants(records, tmp_path):
    learning_curves(records, "addition", tmp_path / "one.svg")
    learning_curves(records, "addition", tmp_path / "two.svg")
    one = (tmp_path / "one.svg").read_bytes()
    assert one == (tmp_path / "two.svg").read_bytes()
    assert b"<!-- peeky -->" in one
