"""A metric that is none of ours, and the kind that is decided by it, touch nothing else.

All that reports and MLflow say of it follows from its entry in the list of its kind.
"""

import base64
import re
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from models.toys import addition
from models.toys import pairs_options as options_of_pairs
from reporting.made import Asked, of_texts, result
from reporting.pages import Page, rendered
from unroll.errors import DataError
from unroll.evaluation.items import Item
from unroll.evaluation.scores import read_scores, summary, write_scores
from unroll.kinds import named
from unroll.kinds.pairs import PairsKind
from unroll.metrics import EXACT_MATCH, Metric, Points
from unroll.options import Comparison, PairsOptions
from unroll.reporting import figures
from unroll.reporting.breakdowns import together
from unroll.reporting.check import DIFFERS, differences
from unroll.reporting.comparison import compare, dicts, judge
from unroll.reporting.curves import curves
from unroll.reporting.results import Result
from unroll.reporting.words import markdown, sentences
from unroll.runs.record import best
from unroll.tracking.descriptions import describe_run

BLEU = Metric("bleu", Points(), high=100)


class TranslationOptions(PairsOptions):
    kind = "translation"


class TranslationKind(PairsKind):
    name = "translation"
    metrics = (BLEU, EXACT_MATCH)


@pytest.fixture(scope="module", autouse=True)
def kind() -> Iterator[TranslationKind]:
    """Yield the kind as a file of kinds/ would make it known."""
    module, found = ModuleType("unroll.kinds.translation"), TranslationKind()
    module.KIND = found  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        assert named("translation") is found
        yield found


def translations(*means: float, spread: float = 5.0) -> Result:
    """Return a variant whose seeds translated 40 sentences this well, a tenth of them exactly."""
    options = TranslationOptions.model_validate(options_of_pairs().model_dump())
    noise = np.random.default_rng(0).uniform(-spread, spread, 40)
    values = [np.clip(mean + noise - noise.mean(), 0, 100) for mean in means]
    exact = np.arange(40) % 10 == 0
    found, shares = [float(of.mean()) for of in values], [0.1] * len(means)
    scores = {
        "test_bleu": found,
        "test_exact_match": shares,
        "valid_bleu": [bleu - 1 for bleu in found],
        "valid_exact_match": shares,
    }
    items = [{"bleu": Item(of), "exact_match": Item(exact.astype(np.uint8))} for of in values]
    tables = [of_texts(list(of), list(exact)) for of in values]
    return result(options, addition(), scores, items, tables, "Q a\nT b\n☒ c\n---\n")


NUMBER = r"\d{1,3}\.\d"
INTERVAL = rf"{NUMBER} \[{NUMBER}, {NUMBER}\]"
RESULTS = {"poor": (20.0, 21.5, 19.0), "good": (60.0, 61.5, 59.5)}


@pytest.fixture(scope="module")
def results(kind: TranslationKind) -> dict[str, Result]:
    return {variant: translations(*means) for variant, means in RESULTS.items()}


@pytest.fixture(scope="module")
def verdicts(results: dict[str, Result]) -> pd.DataFrame:
    return judge(Asked(good="poor", poor="good"), results)


@pytest.fixture(scope="module")
def table(results: dict[str, Result], verdicts: pd.DataFrame) -> pd.DataFrame:
    return compare(Asked(), results, verdicts)


def of_bleu(table: pd.DataFrame, variant: str) -> dict:
    [row] = dicts(table[(table["metric"] == "test_bleu") & (table["variant"] == variant)])
    return row


def test_more_of_it_is_better_and_a_difference_is_in_points(verdicts):
    good, poor = of_bleu(verdicts, "good"), of_bleu(verdicts, "poor")
    assert (good["verdict"], poor["verdict"]) == ("better", "worse")
    assert good["difference"] == pytest.approx(np.mean(RESULTS["good"]) - np.mean(RESULTS["poor"]))
    assert poor["difference"] == pytest.approx(-good["difference"])
    assert good["superiority"] == 1
    assert 30 < good["low"] < good["difference"] < good["high"] < 50


def test_it_is_compared_as_the_number_that_it_is(table):
    row = of_bleu(table, "good")
    assert row["mean"] == pytest.approx(np.mean(RESULTS["good"]))
    assert row["std"] == pytest.approx(np.std(RESULTS["good"], ddof=1))
    assert row["low"] < row["mean"] < row["high"] < 70


def test_intervals_stay_between_0_and_100_and_differences_within_100():
    results = {"much": translations(90.0, 99.0), "none": translations(0.0, 12.0)}
    study = Asked(much="none", none="much")
    verdicts = judge(study, results)
    table = compare(study, results, verdicts)
    assert of_bleu(table, "much")["high"] == 100
    assert of_bleu(table, "none")["low"] == 0
    assert of_bleu(verdicts, "much")["high"] == 100
    assert of_bleu(verdicts, "none")["low"] == -100


def test_the_best_on_validation_is_the_one_that_has_most_of_it(results):
    assert results["good"].best == 1
    assert best(results["good"].records).chosen_by == pytest.approx(60.5)


def test_in_a_table_it_stands_first_and_is_a_number(kind, table, verdicts):
    options = {"poor": {"layers": 1}, "good": {"layers": 2}}
    text = markdown(kind, table, verdicts, Comparison(), options)
    head, _, first, second, _, *rest = text.splitlines()
    titles = [title.strip() for title in head.split("|")]
    assert titles[5:7] == ["test bleu [95 % interval]", "± of seeds"]
    assert titles[8:-1] == ["test exact match"]
    cells = [cell.strip() for cell in first.split("|")]
    assert cells[1:3] == ["good", "layers 2"]  # the most is the best
    assert second.startswith("| poor | ")
    assert re.fullmatch(INTERVAL, cells[5])
    assert cells[5].startswith("60.3 [")
    assert cells[6] == "1.0"
    assert cells[7] == "better than poor"
    assert cells[8:-1] == ["10.0 ± 0.0 %"]
    assert len(rest) == 2
    signed = rf"[+−]{NUMBER}"
    for told, (begins, count) in zip(
        sorted(rest),
        (
            ("good is better than poor: +40.2", "all"),
            ("poor is worse than good: −40.2", "none of"),
        ),
        strict=True,
    ):
        ahead = rf"points \[{signed}, {signed}\], ahead in {count} 3 seeds\."
        assert re.fullmatch(rf"- {re.escape(begins)} {ahead}", told)
    assert sentences(kind, verdicts, Comparison()) == [line.removeprefix("- ") for line in rest]


@pytest.fixture(scope="module")
def written(results: dict[str, Result]) -> Page:
    return rendered({"translation": results}, good="poor")


def test_on_the_page_it_is_nowhere_a_percentage(written):
    text = written.text
    assert re.search(rf"Highest mean: good, {INTERVAL}\. ", text)
    assert "good is better than poor: +40.2 points [" in text
    assert "less is better" not in text
    alts = [image["alt"] for image in written.all("img")]
    assert "test bleu by answer length. poor from 1: " in " ".join(alts)
    assert "valid bleu after the last epoch: poor 19.2, good 59.3." in " ".join(alts)
    shown = " ".join([text, *alts])
    means = ("60.3", "20.2", "59.3", "19.2")
    assert all(mean in shown for mean in means)
    assert not re.search(rf"\b(?:{'|'.join(map(re.escape, means))}) ?%", shown)
    # What is percent are shares, and how sure intervals are.
    assert not re.search(r"[1-9]\d{3,}\.\d ?%", shown)


def words_of(svg: str) -> list[str]:
    """Return the texts of a picture: letters are drawn, and named in comments."""
    return [line.strip()[5:-4] for line in svg.splitlines() if line.strip().startswith("<!-- ")]


def test_in_pictures_its_axis_goes_from_0_to_100_without_percent(kind, table, results):
    rows = dicts(table[table["metric"] == "test_bleu"])
    classes = together(results)
    classes = classes[classes["property"] == "answer length"]
    points = curves(results, 10)
    for svg, title in (
        (figures.learning_curves(points, BLEU), "validation bleu"),
        (figures.curves_against(points, BLEU, "seconds", "seconds"), "validation bleu"),
        (figures.against_parameters(rows, BLEU), "test bleu"),
        (figures.by_class(classes, BLEU, ["1", "2"], "symbols", "test bleu"), "test bleu"),
    ):
        found = words_of(svg)
        assert {"0", "100", title} <= set(found)
        assert not any("%" in word for word in found)


def drawn(results: dict[str, Result], name: str, values: dict[str, str], words: str) -> list[str]:
    """Return the texts of the picture of a property: that of answer lengths by another name."""

    def renamed(of: Result) -> Result:
        rows = of.breakdown[of.breakdown["property"] == "answer length"]
        new = rows.assign(property=name, value=rows["value"].map(values))
        return Result(**{**vars(of), "breakdown": new})

    page = rendered({"translation": {v: renamed(of) for v, of in results.items()}})
    [picture] = [image for image in page.all("img") if words in image["alt"]]
    return words_of(base64.b64decode(picture["src"].partition("base64,")[2]).decode())


def test_by_confidence_it_is_drawn_as_by_any_other_class(results):
    """A number up to 100 has no diagonal in common with a probability."""
    bins = {"1": "0.1–0.2", "2": "0.7–0.8"}
    found = drawn(results, "confidence", bins, "test bleu by confidence. ")
    assert {"0", "100", "test bleu", "probability that the model gives to its answer"} <= set(found)
    assert "calibrated" not in found
    assert not any("%" in word for word in found)


def test_what_is_right_at_a_symbol_is_a_share_whatever_the_metric(results):
    places = {"1": "1", "2": "2"}
    words = "right at this symbol by first wrong symbol. "
    found = drawn(results, "first wrong symbol", places, words)
    assert {"0%", "100%", "right at this symbol"} <= set(found)


def test_mlflow_shows_it_as_a_number(kind, results):
    result = results["good"]
    text = describe_run(
        kind, result.records[0].subject, None, summary(result.scores), 7, result.samples
    )
    lines = text.splitlines()
    assert "- test bleu: 60.3 ± 1.0" in lines
    assert "- valid bleu: 59.3 ± 1.0" in lines
    assert "- test exact match: 10.0 ± 0.0 %" in lines
    one = describe_run(kind, result.records[0].subject, 0, {"test_bleu": (60.0, np.nan)}, 7, "")
    assert "- test bleu: 60.0" in one.splitlines()


def test_a_fresh_run_is_checked_against_the_published_one(table):
    assert set(differences(table, table, 0.95)["verdict"]) == {"equal"}
    published = table.copy()
    of_good = (table["variant"] == "good") & (table["metric"] == "test_bleu")
    published.loc[of_good, "mean"] -= 20
    found = differences(table, published, 0.95)
    told = found[found["verdict"] != "equal"]
    assert told[["variant", "metric", "verdict"]].to_numpy().tolist() == [
        ["good", "test_bleu", DIFFERS]
    ]


def test_its_scores_are_read_and_those_of_others_are_refused(kind, tmp_path):
    write_scores(tmp_path, {0: {"test_bleu": 34.5, "test_exact_match": 0.1}})
    assert read_scores(tmp_path, kind)["value"].tolist() == [34.5, 0.1]
    write_scores(tmp_path, {0: {"test_perplexity": 34.5}})
    with pytest.raises(DataError, match="holds no scores"):
        read_scores(tmp_path, kind)
    with pytest.raises(DataError, match="holds no scores"):
        write_scores(tmp_path, {0: {"test_bleu": 34.5}})
        read_scores(tmp_path, named("labels"))


def test_a_metric_that_is_known_of_seeds_alone_has_the_interval_of_seeds():
    """BLEU of a whole text is no mean of its sentences."""
    found = translations(20.0, 21.5, 19.0)
    without = Result(**{**vars(found), "items": [{"exact_match": of["exact_match"]}
                                                 for of in found.items]})  # fmt: skip
    assert without.outcomes("test_bleu", [2, 0]).tolist() == [[pytest.approx(19)], [20]]
    study = Asked()
    table = compare(study, {"v": without}, judge(study, {"v": without}))
    row = of_bleu(table, "v")
    assert row["low"] < row["mean"] < row["high"]
