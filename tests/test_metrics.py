"""Each scale and each metric, with numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples
from unroll.metrics import (
    ACCURACY,
    CHARACTER_ACCURACY,
    EXACT_MATCH,
    PERPLEXITY,
    Logarithm,
    Metric,
    Points,
    Scale,
    Share,
)

NAN = math.nan
BLEU = Metric("bleu", Points(), high=100)
METRICS = (EXACT_MATCH, CHARACTER_ACCURACY, ACCURACY, PERPLEXITY, BLEU)
positive = st.floats(1e-6, 1e6)


@pytest.mark.parametrize("scale", [Share(), Points()])
def test_shares_and_points_are_compared_as_they_are(scale: Scale):
    values = [0.25, 1, 0.0, NAN]
    for found in (scale.to(values), scale.back(values)):
        assert found.dtype == float
        np.testing.assert_array_equal(found, values)
    assert scale.difference(-0.25) == -0.25
    assert not scale.logarithmic


def test_perplexities_are_compared_as_logarithms():
    scale = Logarithm()
    assert scale.logarithmic
    np.testing.assert_allclose(scale.to([1, math.e, 100]), [0, 1, math.log(100)])
    np.testing.assert_allclose(scale.back([0.0, 1.0]), [1, math.e])
    assert np.isnan(scale.to(NAN))
    # A mean over seeds is a geometric one.
    assert scale.back(scale.to([50.0, 200.0]).mean()) == pytest.approx(100)


def test_a_difference_of_logarithms_is_a_ratio_less_one():
    scale = Logarithm()
    assert scale.difference(math.log(80 / 100)) == pytest.approx(-0.2)
    assert scale.difference(math.log(200 / 100)) == pytest.approx(1.0)
    assert scale.difference(0.0) == 0
    assert math.isnan(scale.difference(NAN))


@few_examples
@given(st.floats(1, 1e4), st.floats(1, 1e4))
def test_a_difference_says_by_how_much_one_perplexity_is_the_other(one, other):
    scale = Logarithm()
    difference = scale.difference(float(scale.to(one) - scale.to(other)))
    assert difference == pytest.approx(one / other - 1, rel=1e-9, abs=1e-12)


@few_examples
@given(
    st.lists(positive, min_size=1, max_size=5), st.sampled_from([Share(), Points(), Logarithm()])
)
def test_what_is_compared_leads_back_to_the_values(values, scale):
    np.testing.assert_allclose(scale.back(scale.to(values)), values, rtol=1e-9)


@pytest.mark.parametrize(
    ("scale", "value", "shown"), [(Share(), 0.25, 25), (Points(), 34.5, 34.5), (Logarithm(), 9, 9)]
)
def test_people_read_shares_in_percent_and_other_numbers_as_they_are(scale, value, shown):
    assert scale.shown(value) == shown


@pytest.mark.parametrize(
    ("scale", "difference", "text"),
    [
        (Share(), 0.818, "+81.8"),
        (Share(), -0.05, "−5.0"),
        (Points(), 1.25, "+1.2"),
        (Points(), -40.0, "−40.0"),
        (Logarithm(), -0.25, "−25.0"),
        (Logarithm(), 1.5, "+150.0"),
    ],
)
def test_a_difference_has_its_sign(scale, difference, text):
    assert scale.signed(difference) == text


def test_the_units():
    assert [(s.unit, s.difference_unit) for s in (Share(), Points(), Logarithm())] == [
        (" %", "points"),
        ("", "points"),
        ("", "%"),
    ]


@pytest.mark.parametrize(
    ("metric", "value", "clipped"),
    [
        (EXACT_MATCH, 0.5, 0.5),
        (EXACT_MATCH, 1.2, 1.0),
        (EXACT_MATCH, -0.1, 0.0),
        (ACCURACY, 1.2, 1.0),
        (CHARACTER_ACCURACY, -math.inf, 0.0),
        (BLEU, 34.5, 34.5),
        (BLEU, 101.0, 100.0),
        (BLEU, -1.0, 0.0),
        (PERPLEXITY, 0.5, 1.0),
        (PERPLEXITY, 1e9, 1e9),
    ],
)
def test_a_value_is_within_what_the_metric_can_be(metric, value, clipped):
    assert metric.clip(value) == clipped


@pytest.mark.parametrize(
    ("metric", "difference", "clipped"),
    [
        (EXACT_MATCH, 0.5, 0.5),
        (EXACT_MATCH, 1.5, 1.0),
        (EXACT_MATCH, -1.5, -1.0),
        (BLEU, 40.0, 40.0),
        (BLEU, 140.0, 100.0),
        (BLEU, -140.0, -100.0),
        (PERPLEXITY, -0.5, -0.5),
        (PERPLEXITY, 7.0, 7.0),  # eight times as perplexed
        (Metric("speed", Logarithm(), low=0.1, high=1.0), 7.0, 7.0),  # a ratio has no reach
        (Metric("chrf", Points(), low=20, high=50), -31.0, -30.0),
    ],
)
def test_a_difference_is_within_what_two_values_can_differ(metric, difference, clipped):
    assert metric.clip_difference(difference) == clipped


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_what_is_no_number_stays_so(metric):
    assert math.isnan(metric.clip(NAN))
    assert math.isnan(metric.clip_difference(NAN))
    assert np.isnan(metric.scale.to(NAN))
    assert np.isnan(metric.scale.back(NAN))
    assert metric.show_spread(NAN) == ""
    assert "nan" not in metric.show(1.0, NAN)
    assert metric.show_difference(NAN, NAN, NAN) == "–"
    assert "nan" not in metric.show_difference(0.5, NAN, NAN)


@pytest.mark.parametrize(
    ("metric", "mean", "std", "text"),
    [
        (EXACT_MATCH, 0.1234, 0.0456, "12.3 ± 4.6 %"),
        (EXACT_MATCH, 0.1234, NAN, "12.3 %"),
        (CHARACTER_ACCURACY, 1.0, 0.0, "100.0 ± 0.0 %"),
        (ACCURACY, 0.5, NAN, "50.0 %"),
        (PERPLEXITY, 112.76, 3.14, "112.8 ± 3.1"),
        (PERPLEXITY, 112.76, NAN, "112.8"),
        (BLEU, 34.56, 1.26, "34.6 ± 1.3"),
        (BLEU, 34.56, NAN, "34.6"),
    ],
)
def test_values_are_shown_as_people_write_them(metric, mean, std, text):
    assert metric.show(mean, std) == text


def test_one_value_alone_has_no_spread():
    assert EXACT_MATCH.show(0.5) == "50.0 %"


@pytest.mark.parametrize(
    ("metric", "std", "text"),
    [(EXACT_MATCH, 0.0456, "4.6"), (PERPLEXITY, 3.14, "3.1"), (BLEU, 1.26, "1.3")],
)
def test_the_spread_of_seeds(metric, std, text):
    assert metric.show_spread(std) == text


@pytest.mark.parametrize(
    ("metric", "interval", "text"),
    [
        (EXACT_MATCH, (0.9, 0.85, 0.9512), "90.0 % [85.0, 95.1]"),
        (PERPLEXITY, (108.0, 101.04, 115.4), "108.0 [101.0, 115.4]"),
        (BLEU, (34.5, 30.0, 39.0), "34.5 [30.0, 39.0]"),
    ],
)
def test_a_mean_with_its_interval(metric, interval, text):
    assert metric.show_interval(*interval) == text


@pytest.mark.parametrize(
    ("metric", "difference", "text"),
    [
        (EXACT_MATCH, (0.818, 0.75, 0.88), "+81.8 points [+75.0, +88.0]"),
        (EXACT_MATCH, (-0.01, -0.05, 0.03), "−1.0 points [−5.0, +3.0]"),
        (EXACT_MATCH, (-0.01, NAN, NAN), "−1.0 points"),
        (PERPLEXITY, (-0.25, -0.27, -0.23), "−25.0 % of perplexity [−27.0, −23.0]"),
        (PERPLEXITY, (0.25, NAN, NAN), "+25.0 % of perplexity"),
        (BLEU, (1.5, -0.5, 3.5), "+1.5 points [−0.5, +3.5]"),
        (BLEU, (NAN, NAN, NAN), "–"),
    ],
)
def test_a_difference_with_its_interval(metric, difference, text):
    assert metric.show_difference(*difference) == text


def test_which_way_is_better():
    assert {metric.name: metric.sign for metric in METRICS} == {
        "exact_match": 1,
        "character_accuracy": 1,
        "accuracy": 1,
        "perplexity": -1,
        "bleu": 1,
    }


def test_the_title_is_the_name_in_words():
    assert CHARACTER_ACCURACY.title == "character accuracy"
    assert BLEU.title == "bleu"


def test_bounds():
    assert [(m.low, m.high) for m in METRICS] == [
        (0, 1), (0, 1), (0, 1), (1, math.inf), (0, 100),
    ]  # fmt: skip
