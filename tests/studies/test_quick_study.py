"""The quick study under a real `dvc repro`: what a newcomer sees first.

What every study leaves is looked at in the toy study (test_toy_study.py): here is what only models
that have learned something, and as many variants as in a real study, can show.
"""

import json
import shutil

import pandas as pd
import pytest

from browser import chromium, needs_chromium

pytestmark = [pytest.mark.slow, pytest.mark.long]

STUDY = "pipeline/quick/dvc.yaml"
PARAMS = "pipeline/quick/params.yaml"
PAIRS = ["baseline", "reversed", "peeky", "reversed-peeky", "attention", "wide"]
CORPUS = ["rnnlm", "better-rnnlm"]
LABELS = ["last-state", "attention-pooling"]


def test_all_variants_are_compared_and_asked_all_that_their_kind_is(quick_study):
    table = pd.read_csv(quick_study.folder / "reports/quick/comparison.csv")
    metrics = {
        variant: names
        for variants, names in [
            (PAIRS, ("exact_match", "character_accuracy")),
            (CORPUS, ("perplexity",)),
            (LABELS, ("accuracy", "macro_f1")),
        ]
        for variant in variants
    }
    asked = {
        v: {f"{s}_{n}" for s in ("valid", "test") for n in names} for v, names in metrics.items()
    }
    found = table.groupby("variant")["metric"].agg(set).to_dict()
    assert found == asked
    assert set(table["seeds"]) == {2}


def test_models_learn_even_at_toy_size(quick_study):
    table = pd.read_csv(quick_study.folder / "reports/quick/comparison.csv")
    mean = table.set_index(["variant", "metric"])["mean"]
    assert mean["reversed-peeky", "test_exact_match"] > mean["baseline", "test_exact_match"]
    facts = json.loads((quick_study.folder / "data/quick/prepared/grammar/facts.json").read_text())
    floor = facts["perplexity_floor"]["test"]
    assert floor < mean["rnnlm", "test_perplexity"] < 1.2 * floor


def test_language_models_write_sentences(quick_study):
    text = (quick_study.folder / "reports/quick/samples/rnnlm.txt").read_text()
    assert text.count("=== you\nyou ") == 2
    assert ".\n" in text
    assert "<eos>" not in text


def test_second_repro_does_nothing(quick_study):
    lock = (quick_study.folder / "pipeline/quick/dvc.lock").read_bytes()
    assert "up to date" in quick_study.run("dvc", "repro", STUDY)
    assert (quick_study.folder / "pipeline/quick/dvc.lock").read_bytes() == lock


def test_dvc_shows_plots_of_all_variants(quick_study):
    quick_study.run("dvc", "plots", "show", "-o", "plots")
    page = (quick_study.folder / "plots/index.html").read_text()
    assert all(f'"variant": "{variant}"' in page for variant in PAIRS + CORPUS + LABELS)
    shutil.rmtree(quick_study.folder / "plots")


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_the_report_opens_without_network_and_fits_the_screen(quick_study, browser, width, scheme):
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page, faults = context.new_page(), []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(request.url))
    page.goto((quick_study.folder / "reports/quick/report.html").as_uri())
    for details in page.locator("details").all():
        details.locator("summary").first.click()
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    figures = page.evaluate(
        "[...document.querySelectorAll('figure img')].map(i => [i.alt, i.naturalWidth])"
    )
    assert len(figures) >= 15
    assert all(alt and drawn for alt, drawn in figures)
    assert not faults
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    context.close()
