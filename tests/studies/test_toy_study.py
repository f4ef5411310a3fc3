"""What a study leaves under a real `dvc repro`, looked at in the smallest one."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from unroll.reporting.comparison import COLUMNS

pytestmark = pytest.mark.slow

STUDY = "pipeline/toy/dvc.yaml"
SEEDS = {"baseline": [0, 1], "peeky": [0, 1], "rnnlm": [0]}


def table(study) -> pd.DataFrame:
    return pd.read_csv(study.folder / "reports/toy/comparison.csv")


def test_comparison_has_a_row_per_variant_and_metric(toy_study):
    found = table(toy_study)
    assert list(found.columns) == list(COLUMNS)
    pairs = {f"{s}_{m}" for s in ("valid", "test") for m in ("exact_match", "character_accuracy")}
    methods = ("perplexity", "perplexity_cache", "perplexity_dynamic")
    corpus = {f"{s}_{m}" for s in ("valid", "test") for m in methods}
    metrics = found.groupby("variant")["metric"].agg(set).to_dict()
    assert metrics == {"baseline": pairs, "peeky": pairs, "rnnlm": corpus}
    counts = found.groupby("variant")["seeds"].agg(set).to_dict()
    assert counts == {variant: {len(seeds)} for variant, seeds in SEEDS.items()}
    assert found.loc[found["metric"].isin(pairs), "mean"].between(0, 1).all()


def test_means_are_those_of_the_seeds_and_of_dvc_metrics(toy_study):
    names = [f"reports/toy/metrics/{variant}.json" for variant in SEEDS]
    shown = json.loads(toy_study.run("dvc", "metrics", "show", "--json", *names))
    every_seed = pd.read_csv(toy_study.folder / "reports/toy/seeds.csv")
    for variant in SEEDS:
        scores = every_seed[every_seed["variant"] == variant]
        metrics = shown[""]["data"][f"reports/toy/metrics/{variant}.json"]["data"]
        rows = table(toy_study)
        rows = rows[rows["variant"] == variant].set_index("metric")
        for metric, values in scores.groupby("metric")["value"]:
            assert np.isclose(rows.loc[metric, "mean"], values.mean(), rtol=1e-5)
            assert np.isclose(metrics[metric], values.mean(), rtol=1e-5)
            std = rows.loc[metric, "std"]
            assert np.isclose(std, values.std(), rtol=1e-3, atol=1e-9, equal_nan=True)


def test_evaluation_repeats_the_last_epoch_of_the_history(toy_study):
    for variant, metric in [("peeky", "valid_exact_match"), ("rnnlm", "valid_perplexity")]:
        folder = toy_study.folder / f"data/toy/evaluation/{variant}"
        scores = pd.read_csv(folder / "scores.csv").set_index(["seed", "metric"])["value"]
        for seed in SEEDS[variant]:
            history = pd.read_csv(folder / f"seed-{seed}/history.csv")
            assert np.isclose(history[metric].iloc[-1], scores[seed, metric], rtol=1e-5)


def test_samples_show_question_truth_and_answer(toy_study):
    text = (toy_study.folder / "reports/toy/samples/peeky.txt").read_text()
    question, truth, answer = text.split("---\n")[0].splitlines()
    a, b = question.removeprefix("Q ").split("+")
    assert truth == f"T {int(a) + int(b)}"
    assert (answer[0] == "☑") == (answer[2:] == truth[2:])


def test_language_models_write(toy_study):
    text = (toy_study.folder / "reports/toy/samples/rnnlm.txt").read_text()
    assert text.startswith("=== you\nyou ")
    assert "<eos>" not in text


def test_ask_and_complete_answer(toy_study):
    def say(*words: str, fails: bool = False) -> str:
        return toy_study.run("unroll", "--study", "toy", *words, fails=fails).strip()

    assert not say("ask", "7+5", "--variant", "baseline").strip("0123456789")
    assert say("complete", "the teacher", "--length", "5").startswith("the teacher")
    error = say("complete", "the zebra", fails=True)
    assert "'zebra'" in error
    assert "Traceback" not in error


def test_second_repro_does_nothing(toy_study):
    lock = (toy_study.folder / "pipeline/toy/dvc.lock").read_bytes()
    told = toy_study.run("dvc", "repro", STUDY)
    assert "up to date" in told
    assert "Running stage" not in told
    assert (toy_study.folder / "pipeline/toy/dvc.lock").read_bytes() == lock
    assert toy_study.run("unroll", "--study", "toy", "track").startswith("nothing to do")


@pytest.mark.long
@pytest.mark.parametrize("variant", ["peeky", "rnnlm"])
def test_training_again_gives_the_same_bits(toy_study, tmp_path, variant):
    study = toy_study.copy(tmp_path / "project")
    models = study.folder / f"data/toy/models/{variant}"
    before = {path.relative_to(models): path.read_bytes() for path in models.rglob("*.*")}
    shutil.rmtree(models)
    told = study.run("unroll", "--study", "toy", "train", variant)
    assert "kept, it was trained already" not in told
    assert {path.relative_to(models): path.read_bytes() for path in models.rglob("*.*")} == before
