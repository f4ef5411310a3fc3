"""What the stage says while it scores."""

import re

import pandas as pd
import pytest

from unroll.evaluation.evaluation import Evaluation
from unroll.kinds import named
from unroll.stages.evaluate import told


def scored(**scores: float) -> Evaluation:
    return Evaluation(scores, {}, pd.DataFrame())


def test_each_score_of_the_deciding_split_is_told_once_with_the_seconds_so_far(capsys):
    first = scored(valid_perplexity=90.0, test_perplexity=80.0)
    last = scored(**first.scores, valid_perplexity_cache=85.0, test_perplexity_cache=75.25)

    assert told(named("corpus"), "lstm seed 2", iter([first, last])) is last

    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"lstm seed 2  test perplexity 80\.0  \d+ s", lines[0])
    assert re.fullmatch(r"lstm seed 2  test perplexity cache 75\.2  \d+ s", lines[1])
    assert len(lines) == 2


def test_a_line_is_told_before_the_next_scoring_begins(capsys):
    def steps():
        yield scored(valid_exact_match=0.5, test_exact_match=0.25)
        assert "test exact match 25.0 %" in capsys.readouterr().out
        raise OSError

    with pytest.raises(OSError):
        told(named("pairs"), "plain seed 0", steps())
