"""The plan of what a variant's models write: what of the options is in it, and what they do."""

import pytest

from models.toys import corpus_options, pairs_options
from unroll.options import Generate
from unroll.plans.evaluation import writing_plan


def plan(**options):
    return writing_plan(corpus_options(), Generate(prompts=["you"], **options))


def test_a_later_option_that_does_nothing_is_no_part_of_it():
    neutral = {"min_p": 0.0, "repetition_penalty": 1.0, "beam_width": 1, "length_penalty": 0.0}
    assert plan(**neutral) == plan()
    assert not plan()["options"].keys() & neutral.keys()
    assert writing_plan(pairs_options(), Generate(prompts=["you"]))["options"] is None


@pytest.mark.parametrize(
    ("option", "value", "others"),
    [
        ("min_p", 0.9, {}),
        ("repetition_penalty", 5.0, {}),
        ("beam_width", 4, {"temperature": 0.0}),
        ("length_penalty", 5.0, {"temperature": 0.0, "beam_width": 4}),
    ],
)
def test_what_an_option_does_is_in_it(option, value, others):
    before, found = plan(**others), plan(**others, **{option: value})
    assert found["options"] == {**before["options"], option: value}
    assert found["behaviour"] != before["behaviour"]
