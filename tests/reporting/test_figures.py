import html
import re
import warnings
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from reporting.made import GOOD, POOR, Asked, corpus_result, pairs_result
from unroll.data.pictures import from_text, picture_of
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


ONES = np.ones(3)
PICTURES = {
    "learning curves": lambda: figures.learning_curves(CURVES, EXACT_MATCH, "sums"),
    "seconds": lambda: figures.curves_against(CURVES, EXACT_MATCH, "seconds", "seconds"),
    "parameters": lambda: figures.against_parameters(rows_of(RESULTS), EXACT_MATCH),
    "class": lambda: figures.by_class(
        classes("answer length"), EXACT_MATCH, ["1", "2"], "symbols", "right"
    ),
    "calibration": lambda: figures.calibration(classes("confidence"), EXACT_MATCH, "sure"),
    "reach": lambda: figures.reach({"good": 0.9 ** np.arange(36), "poor": 1e-3 ** np.arange(36)}),
    "spectra": lambda: figures.spectra({"good": (ONES, ONES), "poor": (ONES, 2 * ONES)}, "one"),
    "saturation": lambda: figures.saturation({"good": (ONES, 0 * ONES), "poor": (ONES,) * 2}, "g"),
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


SVG = "{http://www.w3.org/2000/svg}"
PICTURE = np.random.default_rng(0).integers(0, 256, (3, 16, 16)).astype(np.uint8)
LOOKS = np.array([[0.7, 0.1, 0.1, 0.1], [0.0, 0.0, 1.0, 0.0], [0.25, 0.25, 0.25, 0.25]])


def texts_of(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def panels(svg: str) -> list[np.ndarray]:
    """Return the pictures in a picture (64, 64, 3), which lie in it upside down."""
    found = []
    for image in ElementTree.fromstring(svg).iter(f"{SVG}image"):
        assert image.get("transform").startswith("scale(1 -1) ")
        address = image.get("{http://www.w3.org/1999/xlink}href")
        assert address.startswith("data:image/png;base64,")
        pixels = picture_of(from_text(address, "it"), 64, "it").astype(int)
        found.append(pixels.transpose(1, 2, 0)[::-1])
    return found


def test_a_picture_is_drawn_once_and_again_for_each_word_that_looks_at_it():
    svg = figures.looked_at(PICTURE, ["a", "red", "circle"], LOOKS)
    assert svg == figures.looked_at(PICTURE.copy(), ["a", "red", "circle"], LOOKS.copy())
    assert texts_of(svg) == ["a", "red", "circle"]
    assert len(panels(svg)) == 4


@pytest.mark.parametrize("weights", [np.array([]), np.zeros((0, 4))], ids=["none", "no words"])
def test_without_weights_a_picture_stands_alone(weights):
    svg = figures.looked_at(PICTURE, ["a", "red"] if weights.ndim == 1 else [], weights)
    assert svg == figures.looked_at(PICTURE, [], weights)
    assert texts_of(svg) == []
    assert len(panels(svg)) == 1


def test_a_word_brightens_the_place_at_which_it_looks():
    """Places are those of a square, row by row: the third of four is at the left, below."""
    grey, quarters = np.full((3, 16, 16), 128, np.uint8), [(0, 0), (0, 1), (1, 0), (1, 1)]
    for place in range(4):
        _, looked = panels(figures.looked_at(grey, ["a"], np.eye(4)[place : place + 1]))
        light = {q: looked[16 + 32 * q[0], 16 + 32 * q[1]].sum() for q in quarters}
        assert max(light, key=light.get) == quarters[place]


def test_many_words_stand_in_rows_of_four():
    few, many = (
        size_of(figures.looked_at(PICTURE, ["a"] * n, np.full((n, 9), 1 / 9))) for n in (3, 11)
    )
    assert few[0] == many[0]
    assert many[1] == pytest.approx(3 * few[1])


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("$^$", "$^$"),
        ("a\x01", "a□"),
        ("<b>&", "<b>&"),
        ("-->", "-->"),
        ("한국", "한국"),
        ("x￭", "x"),
    ],
)
def test_words_are_drawn_that_have_a_meaning_elsewhere(word, shown):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # that a font lacks a letter harms nobody
        svg = figures.looked_at(PICTURE, [word], np.full((1, 4), 0.25))
    assert texts_of(svg) == [shown]
