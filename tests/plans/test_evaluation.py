"""The plan of an evaluation: methods are in it where they are asked for."""

import pytest

from models.toys import corpus_options, labels_options, pairs_options
from unroll.options import Compute, Scoring
from unroll.plans.evaluation import evaluation_plan
from unroll.tasks.addition import Addition, AdditionOptions

TASK = Addition(AdditionOptions(kind="addition"))


def plan(options, *methods: str):
    return evaluation_plan(options, Compute(), TASK, Scoring(methods=list(methods)))


def test_a_method_is_in_the_plan_with_what_it_was_tuned_to():
    before, found = (plan(corpus_options(), *methods) for methods in ((), ("cache", "dynamic")))
    asked = {"perplexity_cache", "perplexity_dynamic"}
    assert found["behaviour"]["settings"].keys() == asked
    assert found["behaviour"]["items"].keys() - before["behaviour"]["items"].keys() == asked
    assert "settings" not in before["behaviour"]


@pytest.mark.parametrize("options", [pairs_options(), labels_options()], ids=["pairs", "labels"])
def test_methods_of_language_models_are_nothing_to_others(options):
    assert plan(options, "cache") == plan(options)
