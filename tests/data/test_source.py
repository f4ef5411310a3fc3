"""Options that do nothing with a source are refused."""

import pytest

from unroll.data.source import refuse_idle
from unroll.options import Strict


class Options(Strict):
    train: int = 10
    column: str = "text"
    shortest: int = 1


ELSEWHERE = {"a folder": ("column", "shortest"), "words": ("train",)}


def test_what_is_left_out_or_said_as_it_is_is_taken():
    refuse_idle(Options(), ELSEWHERE)
    refuse_idle(Options(column="text", train=10), ELSEWHERE)
    refuse_idle(Options(train=5), {"a folder": ("column",)})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"column": "b"}, "^column: only of a folder; leave it out$"),
        ({"column": "b", "shortest": 2}, "^column, shortest: only of a folder; leave it out$"),
        ({"train": 5}, "^train: only of words; leave it out$"),
    ],
)
def test_what_does_nothing_is_refused_by_name(given, message):
    with pytest.raises(ValueError, match=message):
        refuse_idle(Options(**given), ELSEWHERE)
