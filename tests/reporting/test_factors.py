"""Effects of options where a study has all combinations of some: against sums by hand."""

from dataclasses import replace

import numpy as np
import pytest

from models.toys import pairs_options
from reporting.made import corpus_result, pairs_result
from reporting.pages import rendered
from unroll.evaluation.statistics import estimate
from unroll.kinds import kind_of
from unroll.reporting.factors import design, effects_of, learned
from unroll.reporting.words import of_factors

FACTORS = ["decoder", "reverse_source"]
KIND = kind_of(pairs_options())
ITEMS = 200


def answers(*shares: float) -> list[list[int]]:
    """Return for each seed which of the items are answered rightly: so large a share."""
    return [[int(i < round(share * ITEMS)) for i in range(ITEMS)] for share in shares]


def made(options: dict, *shares: float):
    found = pairs_result(*answers(*shares))
    records = [
        replace(
            record,
            subject=replace(
                record.subject, options=record.subject.options.model_copy(update=options)
            ),
        )
        for record in found.records
    ]
    return replace(found, records=records)


# Peeking brings 10 points, reversing 20, both together 50; seeds differ by some points.
SPREAD = (0.0, 0.01, 0.02, -0.01)
RESULTS = {
    name: made(
        {"decoder": decoder, "reverse_source": reverse}, *(mean + spread for spread in SPREAD)
    )
    for name, decoder, reverse, mean in (
        ("none", "plain", False, 0.2),
        ("peeky", "peeky", False, 0.3),
        ("reversed", "plain", True, 0.4),
        ("both", "peeky", True, 0.7),
    )
}
FOUND = design(FACTORS, RESULTS, "test_exact_match")
TABLE = effects_of("sums", KIND, FOUND, 0.95)


def row(variant: str):
    [found] = TABLE[TABLE["variant"] == variant].to_dict("records")
    return found


def test_an_effect_is_the_mean_difference_over_all_other_options():
    peeky, reverse = row("decoder peeky"), row("reverse_source true")
    assert peeky["reference"] == "decoder plain"
    assert reverse["reference"] == "reverse_source false"
    assert peeky["difference"] == pytest.approx((0.10 + 0.30) / 2)
    assert reverse["difference"] == pytest.approx((0.20 + 0.40) / 2)
    assert peeky["verdict"] == reverse["verdict"] == "better"
    assert peeky["ahead"] == peeky["seeds"] == 4


def test_two_options_change_each_other_by_the_difference_of_differences():
    both = row("decoder peeky where reverse_source true")
    assert both["reference"] == "decoder peeky where reverse_source false"
    assert both["difference"] == pytest.approx(0.30 - 0.10)


def test_its_interval_is_that_of_the_same_contrast_of_outcomes():
    cells = FOUND.outcomes
    contrast = (
        cells["peeky", False] - cells["plain", False] + cells["peeky", True] - cells["plain", True]
    ) / 2
    expected = estimate(contrast, 0.95)
    found = row("decoder peeky")
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    assert found["p_value"] == pytest.approx(expected.p_value)


def test_p_values_are_corrected_for_all_effects():
    assert len(TABLE) == 3
    assert set(TABLE["comparisons"]) == {3}
    assert (TABLE["p_corrected"] >= TABLE["p_value"]).all()
    assert TABLE["p_corrected"].max() == pytest.approx(TABLE["p_value"].max())


def test_every_value_is_compared_with_the_first_one():
    third = {
        f"third {reverse}": made({"decoder": "attention", "reverse_source": reverse}, 0.5, 0.6)
        for reverse in (False, True)
    }
    table = effects_of("sums", KIND, design(FACTORS, RESULTS | third, "test_exact_match"), 0.95)
    assert table["variant"].tolist() == [
        "decoder peeky",
        "decoder attention",
        "reverse_source true",
        "decoder peeky where reverse_source true",
        "decoder attention where reverse_source true",
    ]
    assert set(table["seeds"]) == {2}  # those that all have


def test_of_a_perplexity_the_effect_is_a_share_of_it():
    results = {
        cell: made_words(cell, *(2 * (np.log(mean) + spread) for spread in spreads))
        for cell, mean, spreads in (("lstm", 100.0, SPREAD), ("gru", 110.0, SPREAD[::-1]))
    }
    kind = next(iter(results.values())).kind
    table = effects_of("words", kind, design(["cell"], results, "test_perplexity"), 0.95)
    [found] = table.to_dict("records")
    assert found["difference"] == pytest.approx(0.10, abs=1e-6)
    assert found["verdict"] == "worse"


def made_words(cell: str, *losses: float):
    found = corpus_result(*([loss] * 40 for loss in losses))
    records = [
        replace(
            record,
            subject=replace(
                record.subject, options=record.subject.options.model_copy(update={"cell": cell})
            ),
        )
        for record in found.records
    ]
    return replace(found, records=records)


def test_runs_that_learn_are_counted_where_runs_are_of_two_kinds():
    stuck = (0.1, 0.1, 0.11, 0.12)
    results = {
        "none": made({"decoder": "plain", "reverse_source": False}, *stuck),
        "peeky": made({"decoder": "peeky", "reverse_source": False}, 0.1, 0.9, 0.91, 0.9),
        "reversed": made({"decoder": "plain", "reverse_source": True}, *stuck),
        "both": made({"decoder": "peeky", "reverse_source": True}, 0.9, 0.9, 0.92, 0.9),
    }
    table = learned(KIND, design(FACTORS, results, "test_exact_match")).set_index("value")
    assert table["learn"].to_dict() == {
        "decoder plain": 0,
        "decoder peeky": 7,
        "reverse_source false": 3,
        "reverse_source true": 4,
    }
    assert set(table["runs"]) == {8}
    assert table.loc["decoder plain", "mean"] == pytest.approx(np.mean(stuck), abs=0.01)


def test_of_runs_of_one_kind_nobody_says_that_some_learn():
    alike = {
        name: made({"decoder": decoder, "reverse_source": False}, 0.50, 0.53, 0.55, 0.58)
        for name, decoder in (("none", "plain"), ("peeky", "peeky"))
    }
    assert learned(KIND, design(["decoder"], alike, "test_exact_match"))["learn"].isna().all()


def test_without_factors_there_are_no_effects():
    none = design([], RESULTS, "test_exact_match")
    assert effects_of("sums", KIND, none, 0.95).empty
    assert learned(KIND, none).empty
    assert of_factors(KIND.main, effects_of("sums", KIND, none, 0.95)) == ""


def test_effects_are_told_in_words():
    text = of_factors(KIND.main, TABLE)
    assert "- decoder peeky is better than decoder plain: +20.0 points [" in text
    assert "That they change each other’s effect can be told of 1 of 1 pairs of values." in text
    assert "- decoder peeky where reverse_source true, beside reverse_source false: +20.0" in text
    assert TABLE["beside"].tolist() == ["", "", "reverse_source false"]


def test_the_page_says_what_each_option_does():
    found = rendered({"sums": RESULTS}, FACTORS)
    assert "sums: what each option does" in found.text
    assert "+20.0 points" in found.text
    [picture] = [image for image in found.all("img") if "What each option does" in image["alt"]]
    assert "decoder peeky against decoder plain: +20.0 points" in picture["alt"]
    assert "what each option does" not in rendered({"sums": RESULTS}).text
