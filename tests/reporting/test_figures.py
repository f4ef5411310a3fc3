import html
import re
import warnings
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from reporting.made import GOOD, POOR, Asked, corpus_result, pairs_result
from unroll.metrics import ACCURACY, EXACT_MATCH, PERPLEXITY, Metric
from unroll.reporting import figures
from unroll.reporting.breakdowns import together
from unroll.reporting.comparison import compare, dicts, judge
from unroll.reporting.curves import curves

RESULTS = {"good": GOOD, "poor": POOR}
CURVES = curves(RESULTS, 10)
BREAKDOWN = together(RESULTS)


def rows_of(results: dict) -> list[dict]:
    table = compare(Asked(), results, judge(Asked(), results))
    return dicts(table[table["metric"] == table["metric"].iloc[0]])


def classes(name: str) -> pd.DataFrame:
    return BREAKDOWN[BREAKDOWN["property"] == name]


PICTURES = {
    "learning curves": lambda: figures.learning_curves(CURVES, EXACT_MATCH, "sums"),
    "seconds": lambda: figures.curves_against(CURVES, EXACT_MATCH, "seconds", "seconds"),
    "parameters": lambda: figures.against_parameters(rows_of(RESULTS), EXACT_MATCH),
    "class": lambda: figures.by_class(
        classes("answer length"), EXACT_MATCH, ["1", "2"], "symbols", "right"
    ),
    "calibration": lambda: figures.calibration(classes("confidence"), EXACT_MATCH, "sure"),
}


@pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES.keys())
def test_a_picture_has_the_same_bytes_each_time_and_names_its_variants(draw):
    svg = draw()
    assert svg == draw()
    assert "<!-- good -->" in svg
    assert "<!-- poor -->" in svg


def test_a_variant_with_one_seed_is_drawn_without_interval():
    svg = figures.against_parameters(rows_of({"one": pairs_result([1, 0])}), EXACT_MATCH)
    assert "<!-- one -->" in svg


def test_perplexities_close_to_each_other_have_different_labels():
    results = {"lm": corpus_result([3.5, 3.5], [3.6, 3.6])}
    svg = figures.learning_curves(curves(results, 10), PERPLEXITY)
    labels = [line for line in svg.splitlines() if line.strip().startswith("<!-- ")]
    assert len(set(labels)) == len(labels) > 5


def test_an_attention_map_shows_question_and_answer():
    svg = figures.attention_map(np.array([[0.1, 0.9]]), "1 ", "3", "1 = 3")
    assert ">1 = 3<" in svg
    assert ">·<" in svg


def test_no_two_of_many_variants_are_drawn_alike():
    drawn = {tuple(figures._style(i).items()) for i in range(40)}
    assert len(drawn) == 40


def words_of(svg: str) -> list[str]:
    """Return the texts of a picture, which are drawn or written."""
    drawn = [line.strip()[5:-4] for line in svg.splitlines() if line.strip().startswith("<!-- ")]
    return drawn or [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


@pytest.mark.parametrize("metric", [EXACT_MATCH, ACCURACY])
def test_calibration_is_that_of_the_metric_that_decides(metric: Metric):
    found = words_of(figures.calibration(classes("confidence"), metric, "how sure"))
    assert f"test {metric.title}" in found
    assert "how sure" in found


def test_the_axis_of_a_share_is_percent_and_that_of_a_perplexity_is_not():
    shares = words_of(figures.learning_curves(CURVES, EXACT_MATCH))
    assert {"0%", "100%", "validation exact match"} <= set(shares)
    results = {"lm": corpus_result([8.0, 8.0], [2.0, 2.0])}
    perplexities = words_of(figures.learning_curves(curves(results, 10), PERPLEXITY))
    assert "10" in perplexities
    assert not any("%" in word for word in perplexities)


@pytest.mark.parametrize("low", [1.0, 5.8, 95.0, 3_000.0])
@pytest.mark.parametrize("times", [1.3, 3.0, 9.0, 15.0, 90.0, 4_000.0, 1e6])
def test_a_logarithmic_axis_has_some_labels_and_none_upon_another(low, times):
    high, axis = low * times, np.log10(times)
    ticks = [t for t in figures._few(axis).tick_values(low, high) if low <= t <= high]
    assert 1 <= len(ticks) <= 9
    apart = np.diff(np.log10(ticks)) / axis  # shares of an axis that has room for a dozen lines
    assert not len(apart) or apart.min() > 0.06


def test_an_attention_map_draws_what_has_a_meaning_elsewhere():
    svg = figures.attention_map(
        np.ones((1, 3)) / 3, ["$^$", "a\x01", "<b>"], ["5$"], "from $5% to $6"
    )
    assert ElementTree.fromstring(svg) is not None
    assert "$^$" in svg and "a□" in svg and "from $5% to $6" in svg


GRID = pd.DataFrame(
    [[0.96, 0.0], [np.nan, 0.254]], index=["short", "long one"], columns=["1–2", "3–"]
)


def test_a_grid_shows_the_classes_of_both_properties_and_what_is_in_its_cells():
    svg = figures.grid(GRID, ACCURACY, "depth of it", "length of it", "some variant")
    assert svg == figures.grid(GRID.copy(), ACCURACY, "depth of it", "length of it", "some variant")
    assert ElementTree.fromstring(svg) is not None
    assert words_of(svg) == [
        *("1–2", "3–", "depth of it"),
        *("short", "long one", "length of it"),
        *("96", "0", "25"),  # in percent; where there was nothing, there is nothing
        "some variant",
    ]


def test_numbers_in_a_grid_stand_out_from_their_cells():
    """White where a cell is dark, which is a share below one half."""
    for share, white in ((0.0, True), (0.49, True), (0.51, False), (1.0, False)):
        table = pd.DataFrame([[share]], index=["a"], columns=["b"])
        svg = figures.grid(table, ACCURACY, "x", "y", "v")
        [style] = re.findall(rf"<text ([^>]*)>{100 * share:.0f}</text>", svg)
        assert ("fill: #ffffff" in style) is white, share


def size_of(svg: str) -> tuple[float, float]:
    root = ElementTree.fromstring(svg)
    return tuple(float(root.get(name).removesuffix("pt")) for name in ("width", "height"))


def test_a_grid_grows_with_its_classes():
    def drawn(rows: int, columns: int) -> tuple[float, float]:
        names = [f"class {i:02}" for i in range(max(rows, columns))]
        table = pd.DataFrame(np.zeros((rows, columns)), names[:rows], names[:columns])
        return size_of(figures.grid(table, ACCURACY, "x", "y", "v"))

    (width, height), (wider, same), (alike, higher) = drawn(5, 5), drawn(5, 15), drawn(15, 5)
    assert wider > width + 200 and same == height
    assert higher > height + 200 and alike == width


@pytest.mark.parametrize("label", ["$^$", "<b>&", "한국", "a\nb", "-->"])
def test_a_grid_draws_labels_that_have_a_meaning_elsewhere(label):
    table = pd.DataFrame(np.eye(2), index=[label, "b"], columns=[label, "b"])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        svg = figures.grid(table, ACCURACY, "x", "y", "v")
    assert ElementTree.fromstring(svg) is not None
