from dataclasses import replace

import pytest

from reporting.made import GOOD, POOR, corpus_result, pairs_result, with_attention
from reporting.pages import Page, rendered

PAIRS = {"good": with_attention(GOOD), "poor": POOR}
MODELS = {
    "lm": corpus_result([4.0, 5.0], [4.2, 5.1]),
    "best": corpus_result([3.0, 3.5], [3.1, 3.4]),
}


@pytest.fixture(scope="module")
def both() -> Page:
    return rendered({"sums": PAIRS, "text": MODELS}, good="poor", best="lm")


def test_the_page_needs_nothing_beside_itself(both):
    addresses = [a[name] for _, a in both.elements for name in ("src", "href") if name in a]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    targets = {attributes.get("id") for _, attributes in both.elements}
    assert {a[1:] for a in addresses if a.startswith("#")} <= targets
    assert not both.all("script")


def test_the_page_can_be_read_without_seeing_it(both):
    images = both.all("img")
    assert len(images) >= 10
    assert all(len(image["alt"]) > 20 for image in images)
    heads = both.all("th")
    assert heads
    assert all(head["scope"] in ("row", "col") for head in heads)
    assert all("aria-label" in div for div in both.all("div") if div.get("class") == "scroll")
    assert both.all("html") == [{"lang": "en"}]


def test_the_answer_comes_first(both):
    opening, _, rest = both.text.partition("Why: how sure is it")
    assert "Highest mean: good, 90.3 % [" in opening
    assert "good is better than poor: +70.3 points [" in opening
    assert "Lowest mean: best, 5.1 [" in opening
    assert "It assumes that the means of seeds are roughly normal" in rest


def test_failures_samples_and_provenance_are_told(both):
    for told in (
        "no number (100.0%)",  # the most frequent mistake
        "good, seed 1: what it looks at",  # the best on validation
        "3 words",  # novelty
        "Q 1 T 1 ☑ 1 ---",
        "you know.",
        "train 45,000, valid 5,000, test 5,000",
        "012345678901",  # the commit
        "unroll train v",
        "learning_rate: 0.1",
    ):
        assert told in both.text


def test_one_seed_has_no_interval_and_says_so():
    text = rendered({"sums": {"one": pairs_result([1, 0] * 50), "two": POOR}}, one="two").text
    assert "50.0 % [none: one seed]" in text
    assert "one seed gives no verdict." in text


def test_a_single_variant_is_not_called_the_best():
    assert "mean: one" not in rendered({"sums": {"one": POOR}}).text


def test_a_study_of_language_models_alone():
    text = rendered({"text": MODELS}, best="lm").text
    assert "Lowest mean: best" in text
    assert "mistakes" not in text


def test_what_a_model_wrote_is_text_and_not_html():
    hostile = "<script>alert(1)</script>"
    result = replace(GOOD, samples=hostile)
    found = rendered({"sums": {"v": result}})
    assert hostile in found.text
    assert not found.all("script")
