import pytest

from reporting.made import GOOD, POOR, Asked
from unroll.kinds import named
from unroll.metrics import EXACT_MATCH, PERPLEXITY
from unroll.reporting.comparison import compare, judge
from unroll.reporting.words import in_a_sentence, markdown, show_difference

ROW = {
    "variant": "peeky",
    "reference": "wide",
    "metric": "test_exact_match",
    "seeds": 4,
    "difference": 0.818,
    "low": 0.75,
    "high": 0.88,
    "verdict": "better",
}
NAN = float("nan")
PAIRS = named("pairs")


def test_markdown_ranks_variants_and_shows_intervals_and_verdicts():
    study = Asked(good="poor")
    results = {"poor": POOR, "good": GOOD}
    verdicts = judge(study, results)
    lines = markdown(PAIRS, compare(study, results, verdicts), verdicts, 0.95).splitlines()
    assert lines[0] == (
        "| variant | parameters | seeds | test exact match [95 % interval] | ± of seeds | verdict "
        "| valid exact match |"
    )
    assert lines[2].startswith("| good | 7 | 3 | 90.3 % [")
    assert "| better than poor |" in lines[2]
    assert lines[3].startswith("| poor | 7 | 3 | 20.0 % [")
    assert lines[4] == ""
    assert lines[5].startswith("- good is better than poor: +70.3 points [")
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "peeky is better than wide: +81.8 points [+75.0, +88.0]."),
        (
            {"verdict": "cannot be told at 4 seeds", "difference": -0.01, "low": -0.05},
            "Whether peeky differs from wide cannot be told at 4 seeds: −1.0 points [−5.0, +88.0].",
        ),
        (
            {"verdict": "cannot be told at one seed", "seeds": 1, "low": NAN, "high": NAN},
            "peeky against wide: cannot be told at one seed.",
        ),
    ],
)
def test_a_verdict_in_a_sentence(changes, sentence):
    assert in_a_sentence(EXACT_MATCH, {**ROW, **changes}) == sentence


def test_differences_of_perplexities_are_percent_of_them():
    row = {**ROW, "metric": "test_perplexity", "difference": -0.25, "low": -0.27, "high": -0.23}
    assert show_difference(PERPLEXITY, row) == "−25.0 % of perplexity [−27.0, −23.0]"
    assert show_difference(PERPLEXITY, {**row, "low": NAN, "high": NAN}) == "−25.0 % of perplexity"
    assert show_difference(PERPLEXITY, {**row, "difference": NAN}) == "–"
