"""A trial is a training of the project: the same numbers, of the validation split alone."""

from dataclasses import replace
from statistics import fmean

import pytest

from models.toys import CPU, pairs, pairs_options
from sweeps.conftest import SPACE, write_space
from unroll.kinds import kind_of
from unroll.models.budget import parameters
from unroll.sweeps.search import Search, address_of
from unroll.sweeps.space import read_space
from unroll.sweeps.trial import run_trial, validated
from unroll.training.loop import train
from unroll.training.run import begin

OPTIONS = {"seeds": [1, 2], "dropout": 0.25, "epochs": 4, "optimizer": "adam"}


def alone(options, data, seed) -> list[float]:
    """Return what decides, after each epoch of a training that the loop has made."""
    history = train(begin(options, data, seed, CPU), options, lambda message: None)
    return [row[kind_of(options).choosing] for row in history]


def noted(options, data) -> tuple[float, list[tuple[int, float]]]:
    notes: list[tuple[int, float]] = []
    return validated(options, data, CPU, lambda *note: notes.append(note)), notes


@pytest.mark.parametrize("made_up", [False, True])
def test_the_value_is_the_mean_of_what_trainings_alone_bring(made_up):
    options = pairs_options(**OPTIONS, learning_rate=0.03)
    data = kind_of(options).made_up(options) if made_up else pairs(40)
    one, other = (alone(options, data, seed) for seed in options.seeds)
    value, notes = noted(options, data)
    means = [fmean(of) for of in zip(one, other, strict=True)]
    assert notes == list(enumerate(means, 1))
    assert value == means[-1]


def test_a_trial_is_the_same_each_time():
    options = pairs_options(**OPTIONS)
    assert noted(options, pairs(20)) == noted(options, pairs(20))


def test_of_the_best_weights_the_value_is_theirs():
    options = pairs_options(**OPTIONS, keep="best", learning_rate=0.1)
    histories = [alone(options, pairs(40), seed) for seed in options.seeds]
    assert noted(options, pairs(40))[0] == fmean(max(of) for of in histories)


def test_the_test_split_is_not_looked_at():
    options, data = pairs_options(**OPTIONS), pairs(20)
    without = {split: of for split, of in data.sources.items() if split != "test"}
    answers = {split: of for split, of in data.targets.items() if split != "test"}
    blind = replace(data, sources=without, targets=answers)
    assert noted(options, blind) == noted(options, data)


def one_trial(study, text: str):
    """Return how the first trial of a sweep has ended."""
    space = read_space(write_space(text), study)
    kind = kind_of(space.base)
    data = kind.load(study.prepared(space.base.task))
    higher = kind.main.higher_is_better
    search = Search(address_of("sqlite:///sweeps.db"), "sums", "key", space, higher)
    run_trial(search, search.take(), study, data, CPU, lambda epoch, value: None)
    [outcome] = search.outcomes()
    return outcome, data


def test_a_trial_has_the_value_of_its_options(study):
    outcome, data = one_trial(study, SPACE)
    options = read_space(write_space(), study).options(study, outcome.params)
    assert (outcome.state, outcome.reason) == ("complete", "")
    assert outcome.options["learning_rate"] == outcome.params["learning_rate"]
    history = alone(options, data, 3)
    assert outcome.value == history[-1]
    assert outcome.epochs == dict(enumerate(history, 1))


def test_options_that_do_not_go_together_have_failed_with_the_reason(study):
    outcome, _ = one_trial(study, SPACE.replace("plain", "both").replace("[4, 8]", "[5, 7]"))
    assert (outcome.state, outcome.value) == ("failed", None)
    assert outcome.reason == "options.hidden_size: must be even where bidirectional is true"


def test_a_training_that_diverges_has_failed_with_the_reason(study):
    text = SPACE.replace("{low: 0.001, high: 0.1, log: true}", "[1.0e+30]")
    outcome, _ = one_trial(study, text + "fixed: {optimizer: sgd}\n")
    assert outcome.state == "failed"
    assert "lower learning_rate" in outcome.reason


def test_a_hidden_size_is_solved_for_each_trial(study):
    text = "variant: matched\ntrials: 1\nspace: {layers: [2], learning_rate: [0.01]}\n"
    outcome, data = one_trial(study, text)
    kind = study.kind_of("peeky")
    form = kind.form(data)
    budget = parameters(lambda options: kind.build(options, form), study.variant("peeky"))
    assert outcome.options["layers"] == 2
    assert outcome.options["hidden_size"] < 8
    assert outcome.options["parameters"] == pytest.approx(budget, rel=0.2)


def test_of_a_language_model_less_is_better(study):
    text = "variant: writer\ntrials: 1\nspace: {learning_rate: [0.1, 1.0]}\n"
    outcome, data = one_trial(study, text)
    options = read_space(write_space(text), study).options(study, outcome.params)
    assert outcome.value == alone(options, data, 0)[-1]
    assert outcome.value > 1
