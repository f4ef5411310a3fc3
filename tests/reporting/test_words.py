import pandas as pd
import pytest

from reporting.made import GOOD, POOR, Asked
from unroll.kinds import named
from unroll.metrics import EXACT_MATCH, PERPLEXITY
from unroll.options import Comparison
from unroll.reporting.comparison import compare, judge
from unroll.reporting.words import answers, differences, in_a_sentence, markdown, show_difference

ROW = {
    "variant": "peeky",
    "reference": "wide",
    "metric": "test_exact_match",
    "seeds": 4,
    "difference": 0.818,
    "low": 0.75,
    "high": 0.88,
    "ahead": 4,
    "modes": None,
    "p_corrected": 0.001,
    "comparisons": 6,
    "seeds_that_tell": 3.0,
    "verdict": "better",
}
NAN = float("nan")
PAIRS = named("pairs")


def test_markdown_ranks_variants_and_shows_intervals_and_verdicts():
    study = Asked(good="poor")
    results = {"poor": POOR, "good": GOOD}
    verdicts = judge(study, results)
    options = {"poor": {"decoder": "plain"}, "good": {"decoder": "peeky"}}
    comparison = Comparison(questions={"good": "Does peeking help?"})
    table = compare(study, results, verdicts)
    lines = markdown(PAIRS, table, verdicts, comparison, options).splitlines()
    assert lines[0].startswith("**Does peeking help?** Yes. good is better than poor: +70.3 points")
    assert lines[2] == (
        "| variant | differs by | parameters | seeds | test exact match [95 % interval] "
        "| ± of seeds | verdict |"
    )
    assert lines[4].startswith("| good | decoder peeky | 7 | 3 | 90.3 % [")
    assert "| better than poor |" in lines[4]
    assert lines[5].startswith("| poor |  | 7 | 3 | 20.0 % [")
    assert len(lines) == 6  # what answers a question is not said twice
    lines = markdown(PAIRS, table, verdicts, Comparison(), options).splitlines()
    assert lines[4] == ""
    assert lines[5].startswith("- good is better than poor: +70.3 points [")
    assert len(lines) == 6


def test_what_a_variant_differs_by_is_what_the_first_has_not():
    first = {"cell": "lstm", "layers": 1, "clip": 5.0}
    many = {"cell": "gru", "layers": 2, "clip": None, "tie_weights": True, "init": "book"}
    found = differences({"a": first, "b": {**first, "layers": 2}, "c": many})
    assert found == {
        "a": "",
        "b": "layers 2",
        "c": "cell gru, layers 2, clip null, tie_weights true and 1 more",
    }


def test_a_variant_differs_from_a_first_one_by_what_it_leaves_out():
    first = {"cell": "lstm", "encoder": "pretrained", "keep": "best"}
    found = differences({"a": first, "b": {"cell": "lstm"}, "c": {**first, "encoder": "small"}})
    assert found == {"a": "", "b": "encoder small, keep last", "c": "encoder small"}


@pytest.mark.parametrize(
    ("verdict", "begins"),
    [
        ("better", "Yes. peeky is better"),
        ("worse", "No, it does harm. peeky is worse"),
        ("cannot be told at 4 seeds", "That cannot be told. peeky against wide"),
    ],
)
def test_a_question_is_answered_in_a_word_and_a_sentence(verdict, begins):
    verdicts = pd.DataFrame([{**ROW, "verdict": verdict}])
    asked = Comparison(questions={"peeky": "Does it help?", "other": "And this?"})
    ((question, answer),) = answers(PAIRS, verdicts, asked)
    assert question == "Does it help?"
    assert answer.startswith(begins)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {},
            "peeky is better than wide: +81.8 points [+75.0, +88.0], ahead in all 4 seeds.",
        ),
        (
            {"verdict": "worse", "difference": -0.5, "low": -0.6, "high": -0.4, "ahead": 0},
            "peeky is worse than wide: −50.0 points [−60.0, −40.0], ahead in none of 4 seeds.",
        ),
        (
            {
                "verdict": "cannot be told at 4 seeds",
                "difference": -0.01,
                "low": -0.05,
                "ahead": 1,
                "p_corrected": 0.0832,
                "seeds_that_tell": 30.0,
            },
            "peeky against wide: −1.0 points [−5.0, +88.0], ahead in 1 of 4 seeds. That is too "
            "little to tell (p = 0.083, corrected for 6 comparisons); about 30 seeds would tell a "
            "difference of this size.",
        ),
        (
            {
                "verdict": "cannot be told at 4 seeds",
                "p_corrected": 0.5,
                "comparisons": 1,
                "seeds_that_tell": NAN,
            },
            "peeky against wide: +81.8 points [+75.0, +88.0], ahead in all 4 seeds. That is too "
            "little to tell (p = 0.5); not even 200 seeds would tell a difference of this size.",
        ),
        (
            {
                "verdict": "seeds of two kinds",
                "modes": "peeky: 1 of 4 seeds at 86.0 %, 3 at 10.0 %",
                "p_corrected": 1.0,
                "ahead": 2,
            },
            "peeky against wide: seeds of two kinds (peeky: 1 of 4 seeds at 86.0 %, 3 at 10.0 %), "
            "ahead in 2 of 4 seeds; whether more seeds of one learn cannot be told "
            "(p = 1, corrected for 6 comparisons).",
        ),
        (
            {"modes": "peeky: 7 of 8 seeds at 86.0 %, 1 at 10.0 %", "seeds": 8},
            "peeky is better than wide by the share of its seeds that learn "
            "(peeky: 7 of 8 seeds at 86.0 %, 1 at 10.0 %).",
        ),
        (
            {
                "verdict": "cannot be told at 4 seeds",
                "difference": 0.0,
                "ahead": 0,
                "p_corrected": NAN,
            },
            "peeky against wide: no difference, on any item of any seed. There is nothing to tell "
            "it from chance by.",
        ),
        (
            {"verdict": "cannot be told at 4 seeds", "p_corrected": NAN},
            "peeky against wide: +81.8 points [+75.0, +88.0], ahead in all 4 seeds. There is "
            "nothing to tell it from chance by.",
        ),
        (
            {"verdict": "two seeds give no verdict", "seeds": 2, "ahead": 2},
            "peeky against wide: +81.8 points [+75.0, +88.0], ahead in both seeds; two seeds give "
            "no verdict.",
        ),
        (
            {"verdict": "no seed in common", "seeds": 0},
            "peeky against wide: no seed in common.",
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
