import pytest

from unroll.plans.evaluation import MadeUp
from unroll.tasks.task import first_difference


@pytest.mark.parametrize(
    ("expected", "answered", "name"),
    [
        ("abc", "abd", "d instead of c"),
        ("abc", "ab", "the end instead of c"),
        ("ab", "abc", "c instead of the end"),
    ],
)
def test_a_task_without_names_has_its_mistakes_named_by_the_first_difference(
    expected, answered, name
):
    assert first_difference(expected, answered) == name
    assert MadeUp("pairs").mistake(expected, answered) == name
