"""The page of `unroll inside`: what it says of what was found, and of what cannot be shown."""

import re
from dataclasses import replace

import numpy as np
import pytest

from models.toys import corpus_options, record
from reporting.pages import Page
from unroll.evaluation.inside import Influence, Inside, Saturation, Spectrum, Unit
from unroll.reporting.inside import compared, inside_page, sections

HOSTILE = "<script>alert(1)</script>"
FOUND = Inside(
    reach={
        "trained": 0.5 ** np.arange(36) * 3,
        "its first weights": np.full(36, 2.0) * np.append(np.ones(35), 0.5),
        "rnn, first weights": 1.1 ** np.arange(36),
        "gru, first weights": 0.2 ** np.arange(36),
    },
    norms=np.array([0.1, 0.2, 0.6, 0.9]),
    spectra=[
        Spectrum(1, "input", np.array([1.5, 0.5]), np.array([3.0, 0.9])),
        Spectrum(1, "forget", np.array([1.2, 0.2]), np.array([1.1, 1.01])),
    ],
    influences=[
        Influence(["<eos>", "a", "b"], np.array([0.0, 1.0, 3.0]), "c", 0.25, "c"),
        Influence(["<eos>", HOSTILE, "b"], np.array([1.0, 2.0, 1.0]), "d", 0.5, HOSTILE),
    ],
    units=[
        Unit("place in the sentence", 1, 7, -0.875, ["a", HOSTILE], np.array([-1.0, 4.0])),
        Unit("a number was read", 2, 0, 0.25, ["N", "c"], np.array([0.0, -0.5])),
    ],
    absent=["a quotation is open"],
    saturations=[
        Saturation(1, "input", np.array([0.0, 0.5]), np.array([0.25, 0.25])),
        Saturation(2, "input", np.array([1.0, 1.0]), np.array([0.0, 0.0])),
        Saturation(1, "forget", np.array([0.0, 0.0]), np.array([1.0, 0.9])),
    ],
)


def rendered(found: Inside = FOUND, **changes) -> Page:
    options = corpus_options(**{"clip": 0.5, "time_steps": 5, **changes})
    return Page(inside_page(record(options, valid_perplexity=[9.0, 8.0]), options, found))


@pytest.fixture(scope="module")
def page() -> Page:
    return rendered()


def test_the_page_needs_nothing_beside_itself(page):
    addresses = [a[name] for _, a in page.elements for name in ("src", "href") if name in a]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    targets = {attributes.get("id") for _, attributes in page.elements}
    assert {a[1:] for a in addresses if a.startswith("#")} <= targets
    assert not page.all("script")
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("img")) == 1 + 1 + 2
    assert all(len(image["alt"]) > 20 for image in page.all("img"))


def test_words_of_the_text_are_text_and_not_html(page):
    assert page.text.count(HOSTILE) == 3


@pytest.mark.parametrize(
    "told",
    [
        "Seed 0 of v, study toy, its only seed (perplexity 8.0 on validation).",
        # gradients
        "In the trained model 1e-03 of it is left 10 steps back, and 3e-11 after 35; “rnn, first "
        "weights” keeps most over 35 steps (28.1 times), “gru, first weights” least (3e-25).",
        "It was trained with clip 0.5, which would act on 50 % of 4 windows of validation (5 "
        "steps;",
        "the median of the global norm is 0.4, the largest 0.9.",
        # matrices
        "The largest is 1.50 at the start (input, layer 1) and 3.00 at the end (input, layer 1); "
        "it has grown in 1 of 2 matrices, and above 1 are 50 % of all values at the start, "
        "75 % at the end.",
        # words: 3/4 and 1/4 on the last
        "On average 50 % of all colour lies on the last word and 100 % on the last 5; in 1 of 2 "
        "sentences a word before the last matters most.",
        "→ c (25 %; as in the text)",
        f"→ d (50 %; in the text: {HOSTILE})",
        # units
        "Most clearly a unit follows “place in the sentence” (-0.88), least clearly "
        "“a number was read” (+0.25).",
        "Nothing can be said of “a quotation is open”",
        "place in the sentence: unit 7 of layer 1, correlation -0.88",
        # gates
        "Most often shut is input, layer 2 (100 % of its values), most often open forget, layer 1 "
        "(95 %).",
        "input 1 25.0 % 25.0 %",
    ],
)
def test_what_is_seen_is_said(page, told):
    assert told in page.text


def test_colours_are_as_strong_as_what_they_stand_for(page):
    spans = [(s["class"], s["style"], s["title"]) for s in page.all("span")]
    assert spans[:3] == [("up", "--s: 0", "0"), ("up", "--s: 20", "1"), ("up", "--s: 60", "3")]
    assert spans[6:] == [
        ("down", "--s: 30", "-1.0"),
        ("up", "--s: 60", "+4.0"),  # no stronger than two standard deviations
        ("down", "--s: 0", "+0.0"),
        ("down", "--s: 15", "-0.5"),
    ]


def test_what_a_model_has_not_is_left_out_with_a_reason():
    bare = replace(FOUND, saturations=[], influences=[], units=[])
    plain = rendered(bare, cell="rnn")
    assert "A simple recurrent net has no gates." in plain.text
    assert "No sentence of validation is long enough" in plain.text
    assert len(plain.all("img")) == 2
    changed = rendered(bare, mogrifier_rounds=3, weight_drop=0.4, clip=None).text
    assert "Mogrifier changes input and state before its gates read them" in changed
    assert "The matrices with which a Mogrifier changes its state" in changed
    assert "In training a share of 0.4 of these weights was zero" in changed
    assert "It was trained without a clip. Of 4 windows" in changed


def test_a_seed_among_others_is_the_best_of_them():
    assert "study toy, the best of its seeds (perplexity" in rendered(seeds=[0, 1]).text


def test_what_a_model_has_is_not_excused(page):
    assert not re.search("Mogrifier|no gates|was zero|without a clip", page.text)


# In the report


def test_a_report_shows_no_word_of_the_text():
    found = sections(corpus_options(clip=0.5, time_steps=5), FOUND)
    assert [section.name for section in found] == ["gradients", "matrices", "gates"]
    assert not any(section.texts for section in found)
    assert HOSTILE not in str(found)


def test_models_are_compared_by_how_far_their_gradients_reach():
    found = compared({"rnn, seed 1": 0.5 ** np.arange(36), "lstm, seed 0": 0.9 ** np.arange(36)})
    assert found.seen == (
        "“lstm, seed 0” keeps most over 35 steps (2.5 %), “rnn, seed 1” least (3e-11)."
    )
    (picture,) = found.pictures
    assert "rnn, seed 1 1e-03 after 10 and 3e-11 after 35; lstm" in picture.alt
    assert "<svg" in picture.svg
