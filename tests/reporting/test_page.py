import base64
import re
from dataclasses import replace

import numpy as np
import pytest

from reporting.made import (
    GOOD,
    POOR,
    corpus_result,
    labels_result,
    pairs_result,
    with_attention,
)
from reporting.pages import Page, rendered
from unroll.data.pictures import from_text, to_png, to_text
from unroll.data.properties import crossed, of_bands, of_values
from unroll.evaluation.breakdown import of_answers
from unroll.evaluation.sheets import Shot

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


def test_other_scores_stand_below_the_one_that_decides():
    # Half of each label, all called "a": F1 of "a" is 2/3, of "b" 0.
    of = labels_result(["a", "b"] * 50, ["a"] * 100)
    opening, _, _ = rendered({"topics": {"one": of}}).text.partition("Why: how sure is it")
    assert opening.partition("variant test macro f1")[2].startswith(" one 33.3 % ")


def test_failures_samples_and_provenance_are_told(both):
    for told in (
        "no number (100.0 %)",  # the most frequent mistake
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


LABELS = ["food", "food", "art", "sports"]
CLASSIFIERS = {
    "last": labels_result(
        LABELS, ["food", "art", "art", "food"], ["food", "food", "food", "food"], LABELS
    ),
    "both-ways": labels_result(LABELS, *[["art"] * 4] * 3),
}


@pytest.fixture(scope="module")
def labels() -> Page:
    return rendered({"topics": CLASSIFIERS}, **{"both-ways": "last"})


def words_in(page: Page, alt: str) -> list[str]:
    """Return the texts of the picture whose description begins so."""
    [image] = [image for image in page.all("img") if image["alt"].startswith(alt)]
    svg = base64.b64decode(image["src"].partition("base64,")[2]).decode()
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_a_study_of_labels_shows_which_was_taken_for_which(labels):
    assert "topics: answered so, by label and answer" in labels.text
    alts = [image["alt"] for image in labels.all("img")]
    assert (
        "answered so, by label and answer, of last: art and art 66.7 %; art and food 33.3 %; "
        "food and art 16.7 %; food and food 83.3 %; "
        "sports and food 66.7 %; sports and sports 33.3 %."
    ) in alts
    assert (
        "answered so, by label and answer, of both-ways: art and art 100.0 %; "
        "food and art 100.0 %; sports and art 100.0 %."
    ) in alts
    assert sum("by label and answer" in alt for alt in alts) == 2


def test_what_was_answered_stands_below_and_what_is_right_at_the_side(labels):
    words = words_in(labels, "answered so, by label and answer, of last")
    below, aside = words[:4], words[4:8]
    assert below == ["art", "food", "sports", "answer"]
    assert aside == ["art", "food", "sports", "label"]
    assert words[8:] == ["67", "33", "17", "83", "67", "33", "last"]
    words = words_in(labels, "answered so, by label and answer, of both-ways")
    assert words[:6] == ["art", "answer", "art", "food", "sports", "label"]


def test_labels_have_accuracy_mistakes_and_lengths(labels):
    assert "Highest mean: last, 66.7 %" in labels.text
    assert "art instead of food" in labels.text
    alts = [image["alt"] for image in labels.all("img")]
    [of_lengths] = [alt for alt in alts if alt.startswith("test accuracy by length.")]
    assert "last from 1–2: 83.3 % to 3–4: 50.0 %;" in of_lengths


def test_a_grid_stands_beside_the_lines_and_not_among_them(labels):
    """Of each pair of labels there is no line: that would be one for each picture of a grid."""
    assert "label × answer" not in labels.text
    assert all(" × " not in image["alt"] for image in labels.all("img"))


def test_without_two_properties_at_once_there_is_no_grid(both):
    assert ", by " not in both.text


def test_other_properties_of_two_are_told_by_the_metric_that_decides():
    length = of_bands("length", np.array([1, 3, 12, 30]), (1, 2, 10, 20))
    depth = of_values("depth", [9, 10, 9, 9])
    table = of_answers([crossed(length, depth)], np.array([1, 0, 1, 1]), np.full(4, 0.5))
    one = pairs_result([1, 0, 1, 1])
    found = rendered({"sums": {"v": replace(one, breakdown=table.assign(seed=0))}})
    assert "sums: test exact match, by length and depth" in found.text
    [alt] = [image["alt"] for image in found.all("img") if ", by length" in image["alt"]]
    assert alt == (
        "test exact match, by length and depth, of v: 1 and 9 100.0 %; 2–9 and 10 0.0 %; "
        "10–19 and 9 100.0 %; 20– and 9 100.0 %."
    )
    words = words_in(found, "test exact match, by length")
    assert words[:3] == ["9", "10", "depth"]  # by their numbers, and not by their digits
    assert words[3:8] == ["1", "2–9", "10–19", "20–", "length"]


PNG = to_text(to_png(np.random.default_rng(0).integers(0, 256, (3, 16, 16)).astype(np.uint8)))
SHOT = {
    "picture": PNG, "references": ["a red circle", "a circle"], "answer": "a red circle",
    "right": True, "true": True, "words": ["a", "red", "circle"],
    "weights": [[0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0]],
}  # fmt: skip
OTHER = {"answer": "a blue cross", "words": ["a", "blue", "cross"], "right": False}


def with_sheets(of, *sheets: list[dict]):
    """Return the result of a variant whose seeds left these pictures."""
    return replace(of, sheets=[[Shot(**{**SHOT, **shot}) for shot in sheet] for sheet in sheets])


def captions_of(page: Page) -> list[str]:
    alts = [image["alt"] for image in page.all("img")]
    return [alt for alt in alts if alt.startswith("A picture of which was said: ")]


def test_pictures_are_shown_with_what_was_said_of_them():
    sheet = [{}, {**OTHER, "true": True}, {**OTHER, "true": False}, {**OTHER, "true": None}]
    found = rendered({"sums": {"good": with_sheets(GOOD, [], sheet, []), "poor": POOR}})
    assert captions_of(found) == [
        "A picture of which was said: a red circle (right).",
        "A picture of which was said: a blue cross (true). In truth: a red circle.",
        "A picture of which was said: a blue cross (wrong). In truth: a red circle.",
        "A picture of which was said: a blue cross (wrong). In truth: a red circle.",
    ]
    assert "good, seed 1: what it says of pictures" in found.text
    assert "a blue cross (true). In truth: a red circle." in found.text
    assert "poor, seed" not in found.text


def test_only_the_pictures_of_the_seed_that_is_best_on_validation_are_shown():
    """Of GOOD that is the second."""
    assert GOOD.best == 1
    found = rendered({"sums": {"good": with_sheets(GOOD, [{}], [], [{}])}})
    assert captions_of(found) == []
    assert "what it says of pictures" not in found.text


def test_each_word_stands_over_the_picture_at_which_it_looks():
    def drawn(**changes) -> str:
        found = rendered({"sums": {"v": with_sheets(GOOD, [], [changes], [])}})
        (image,) = [i for i in found.all("img") if i["alt"].startswith("A picture of")]
        return from_text(image["src"], "it").decode()

    assert drawn().count("<image") == 4
    assert all(f">{word}<" in drawn() for word in SHOT["words"])
    alone = drawn(weights=[])  # a model without attention
    assert alone.count("<image") == 1 and ">circle<" not in alone
    marks = drawn(words=["a￭", "red", "￭.￭"])
    assert ">a<" in marks and ">.<" in marks


def test_what_was_said_of_a_picture_is_text_and_not_html():
    hostile = '<script>"alert"</script>'
    shot = {"answer": hostile, "references": [hostile], "words": ["<b>", hostile, "'"]}
    found = rendered({"sums": {"v": with_sheets(GOOD, [], [shot], [])}})
    assert captions_of(found) == [f"A picture of which was said: {hostile} (right)."]
    assert not found.all("script") and not found.all("b")


def test_without_pictures_nothing_is_said_of_them(both):
    assert "what it says of pictures" not in both.text
