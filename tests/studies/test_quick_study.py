"""The quick study under a real `dvc repro`: what a newcomer sees first."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from browser import chromium, needs_chromium

pytestmark = pytest.mark.slow

STUDY = "pipeline/quick/dvc.yaml"
PARAMS = "pipeline/quick/params.yaml"
PAIRS = ["baseline", "reversed", "peeky", "reversed-peeky", "attention", "wide"]
CORPUS = ["rnnlm", "better-rnnlm"]


def test_comparison_has_a_row_per_variant_and_metric(quick_study):
    table = pd.read_csv(quick_study.folder / "reports/quick/comparison.csv")
    assert list(table.columns) == [
        "study", "task", "variant", "metric", "parameters", "seeds", "mean", "std", "low",
        "high", "reference", "verdict", "seconds",
    ]  # fmt: skip
    pairs = {f"{s}_{m}" for s in ("valid", "test") for m in ("exact_match", "character_accuracy")}
    corpus = {"valid_perplexity", "test_perplexity"}
    found = table.groupby("variant")["metric"].agg(set).to_dict()
    assert found == dict.fromkeys(PAIRS, pairs) | dict.fromkeys(CORPUS, corpus)
    assert set(table["seeds"]) == {2}
    assert table.loc[table["metric"].isin(pairs), "mean"].between(0, 1).all()


def test_models_learn_even_at_toy_size(quick_study):
    table = pd.read_csv(quick_study.folder / "reports/quick/comparison.csv")
    mean = table.set_index(["variant", "metric"])["mean"]
    assert mean["reversed-peeky", "test_exact_match"] > mean["baseline", "test_exact_match"]
    facts = json.loads((quick_study.folder / "data/quick/prepared/grammar/facts.json").read_text())
    floor = facts["perplexity_floor"]["test"]
    assert floor < mean["rnnlm", "test_perplexity"] < 1.2 * floor


def test_means_are_those_of_the_seeds_and_of_dvc_metrics(quick_study):
    table = pd.read_csv(quick_study.folder / "reports/quick/comparison.csv")
    names = [f"reports/quick/metrics/{variant}.json" for variant in PAIRS + CORPUS]
    shown = json.loads(quick_study.run("dvc", "metrics", "show", "--json", *names))
    every_seed = pd.read_csv(quick_study.folder / "reports/quick/seeds.csv")
    for variant in PAIRS + CORPUS:
        scores = every_seed[every_seed["variant"] == variant]
        metrics = shown[""]["data"][f"reports/quick/metrics/{variant}.json"]["data"]
        rows = table[table["variant"] == variant].set_index("metric")
        for metric, values in scores.groupby("metric")["value"]:
            assert np.isclose(rows.loc[metric, "mean"], values.mean(), rtol=1e-5)
            assert np.isclose(rows.loc[metric, "std"], values.std(), rtol=1e-3, atol=1e-9)
            assert np.isclose(metrics[metric], values.mean(), rtol=1e-5)


def test_evaluation_repeats_the_last_epoch_of_the_history(quick_study):
    for variant, metric in [("peeky", "valid_exact_match"), ("rnnlm", "valid_perplexity")]:
        scores = pd.read_csv(
            quick_study.folder / f"data/quick/evaluation/{variant}/scores.csv"
        ).set_index(["seed", "metric"])["value"]
        for seed in (0, 1):
            history = pd.read_csv(
                quick_study.folder / f"data/quick/models/{variant}/seed-{seed}/history.csv"
            )
            assert np.isclose(history[metric].iloc[-1], scores[seed, metric], rtol=1e-5)


def test_samples_show_question_truth_and_answer(quick_study):
    text = (quick_study.folder / "reports/quick/samples/peeky.txt").read_text()
    first = text.split("---\n")[0].splitlines()
    question, truth, answer = first
    a, b = question.removeprefix("Q ").split("+")
    assert truth == f"T {int(a) + int(b)}"
    assert (answer[0] == "☑") == (answer[2:] == truth[2:])


def test_language_models_write_sentences(quick_study):
    text = (quick_study.folder / "reports/quick/samples/rnnlm.txt").read_text()
    assert text.count("=== you\nyou ") == 2
    assert ".\n" in text
    assert "<eos>" not in text


def test_ask_and_complete_answer(quick_study):
    answer = quick_study.run("unroll", "--study", "quick", "ask", "7+5").strip()
    assert answer.isdigit()
    named = quick_study.run("unroll", "--study", "quick", "ask", "7+5", "--variant", "baseline")
    assert named.strip().isdigit()
    text = quick_study.run("unroll", "--study", "quick", "complete", "the teacher", "--length", "5")
    assert text.startswith("the teacher ")
    error = quick_study.run("unroll", "--study", "quick", "complete", "the zebra", fails=True)
    assert "'zebra'" in error
    assert "Traceback" not in error
    error = quick_study.run("unroll", "--study", "quick", "ask", "7x5", fails=True)
    assert "'x'" in error


def test_second_repro_does_nothing(quick_study):
    lock = (quick_study.folder / "pipeline/quick/dvc.lock").read_bytes()
    assert "up to date" in quick_study.run("dvc", "repro", STUDY)
    assert (quick_study.folder / "pipeline/quick/dvc.lock").read_bytes() == lock


def test_training_again_gives_the_same_bits(quick_study):
    def weights():
        folder = quick_study.folder / "data/quick/models"
        return {
            name: (folder / name / "seed-1/weights.safetensors").read_bytes()
            for name in ("attention", "better-rnnlm")
        }

    before = weights()
    for variant in before:
        quick_study.run("unroll", "--study", "quick", "train", variant)
    assert weights() == before


def test_dvc_shows_plots_of_all_variants(quick_study):
    quick_study.run("dvc", "plots", "show", "-o", "plots")
    page = (quick_study.folder / "plots/index.html").read_text()
    assert all(f'"variant": "{variant}"' in page for variant in PAIRS + CORPUS)
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
