"""Pictures of a study, as SVG with always the same bytes for the same numbers.

Each function returns the text of an SVG file. Fonts are drawn as paths, so that a picture looks
alike everywhere.
"""

import contextlib
import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import (
    EngFormatter,
    Locator,
    LogLocator,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
)

from unroll.data.vocabulary import JOINER
from unroll.metrics import Metric

LONGEST_TITLE = 30  # characters, over a map of attention

# Okabe & Ito's colours, told apart by colour-blind readers too, with markers as a second sign.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^Dv*P"
WIDE, SMALL, SQUARE = (7.0, 4.0), (4.8, 3.6), (3.2, 3.2)  # inches
STYLE: dict[str, Any] = {
    "svg.hashsalt": "unroll",
    "svg.fonttype": "path",
    "text.parse_math": False,  # a dollar is a dollar
}


def learning_curves(table: pd.DataFrame, metric: Metric, title: str = "") -> str:
    """Draw the validation score of variants by epoch: mean and range of the seeds."""
    with _drawing(WIDE) as (axes, svg):
        _curves(axes, table, metric, "epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(title)
        _legend(axes)
    return svg.getvalue()


def curves_against(table: pd.DataFrame, metric: Metric, x: str, label: str) -> str:
    """Draw the validation score by another column of learning curves: examples or seconds."""
    with _drawing(SMALL) as (axes, svg):
        _curves(axes, table, metric, x)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlabel(label)
        _legend(axes)
    return svg.getvalue()


def against_parameters(rows: Sequence[Mapping[str, Any]], metric: Metric) -> str:
    """Draw the test score of variants with its interval by the number of their parameters."""
    with _drawing(SMALL) as (axes, svg):
        for i, row in enumerate(rows):
            reach = np.abs([[row["low"] - row["mean"]], [row["high"] - row["mean"]]])
            known = None if np.isnan(reach).any() else reach
            axes.errorbar(
                row["parameters"], row["mean"], known, label=row["variant"], capsize=3,
                linestyle="", **_style(i),
            )  # fmt: skip
        _measure(axes, metric, "test")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlabel("parameters")
        axes.margins(x=0.15)
        _legend(axes)
    return svg.getvalue()


def effects(rows: Sequence[Mapping[str, Any]], metric: Metric) -> str:
    """Draw differences with their intervals, one below the other, beside what is compared."""
    names = [f"{row['variant']}  −  {row['reference']}" for row in rows]
    longest = max(map(len, names))
    size = (3.0 + 0.075 * longest, 1.2 + 0.26 * len(rows))
    with _drawing(size) as (axes, svg):
        axes.axvline(0, color="grey", linewidth=0.8)
        means, low, high = (
            np.array([row[name] for row in rows]) for name in ("difference", "low", "high")
        )
        reach = np.nan_to_num([means - low, high - means])
        places = range(len(rows))
        axes.errorbar(means, places, xerr=reach, capsize=2, linestyle="", **_style(0))
        axes.set_yticks(places, [_printable(name) for name in names], fontsize=7)
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(lambda x, _: metric.scale.signed(x))
        axes.set_xlabel(f"difference in {metric.title}, {metric.scale.difference_unit}")
    return svg.getvalue()


def by_class(
    table: pd.DataFrame, metric: Metric, values: Sequence[str], label: str, measure: str
) -> str:
    """Draw a measure of variants, on the scale of a metric, by the classes of one property."""
    with _drawing(SMALL) as (axes, svg):
        for variant, rows, style in _variants(table):
            places = [values.index(value) for value in rows["value"]]
            axes.plot(places, rows["mean"], ms=5, label=variant, **style)
        _measure(axes, metric, "test")
        axes.set_ylabel(measure)
        slanted = max(map(len, values)) * len(values) > 40
        axes.set_xticks(range(len(values)), values, rotation=30 if slanted else 0)
        axes.set_xlabel(label)
        _legend(axes)
    return svg.getvalue()


def calibration(table: pd.DataFrame, metric: Metric, label: str) -> str:
    """Draw a metric that is a share of right answers by the confidence of models in them."""
    with _drawing(SMALL) as (axes, svg):
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="calibrated")
        for variant, rows, style in _variants(table):
            axes.plot(rows["confidence"], rows["mean"], ms=5, label=variant, **style)
        _measure(axes, metric, "test")
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlabel(label)
        _legend(axes)
    return svg.getvalue()


def grid(table: pd.DataFrame, metric: Metric, x: str, y: str, title: str) -> str:
    """Draw a metric by two properties, the classes of one below those of the other."""
    below, beside = (
        [_printable(str(label)) for label in of] for of in (table.columns, table.index)
    )
    width = 1.6 + 0.09 * max(map(len, beside)) + 0.4 * len(below)
    size = (max(2.6, width), max(2.4, 1.5 + 0.36 * len(beside)))
    with _texts_kept(), _drawing(size, {"svg.fonttype": "none"}) as (axes, svg):
        axes.imshow(table, cmap="cividis", vmin=metric.low, vmax=metric.high, aspect="auto")
        slanted = max(map(len, below)) > 4
        axes.set_xticks(range(len(below)), below, rotation=90 if slanted else 0)
        axes.set_yticks(range(len(beside)), beside)
        for (row, column), value in np.ndenumerate(table.to_numpy()):
            if not np.isnan(value):
                dark = value < (metric.low + metric.high) / 2
                axes.text(
                    column, row, f"{metric.scale.shown(value):.0f}", ha="center", va="center",
                    fontsize=7, color="white" if dark else "black",
                )  # fmt: skip
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_title(title, fontsize=10)
        axes.grid(False)
    return svg.getvalue()


def attention_map(
    weights: np.ndarray, question: Sequence[str], answer: Sequence[str], title: str
) -> str:
    """Draw the weights (T', T) that each symbol of an answer gives to those of its question.

    Symbols are texts of the picture and no curves: whoever looks at it has their letters.
    """
    question, answer = (_shown(symbols) for symbols in (question, answer))
    words = max(map(len, question), default=1) > 1
    room = 0.09 * max(map(len, (*question, *answer)), default=1) if words else 0.0
    size = (max(2.6, 0.22 * len(question) + room), max(2.3, 0.22 * len(answer) + room))
    with _texts_kept(), _drawing(size, {"svg.fonttype": "none"}) as (axes, svg):
        axes.imshow(weights, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        for ticks, symbols in ((axes.set_xticks, question), (axes.set_yticks, answer)):
            ticks(range(len(symbols)), symbols, family="monospace")
        if words:
            axes.tick_params(axis="x", labelrotation=90)
        if len(title) <= LONGEST_TITLE:  # a longer one would be cut, and can be read at the axes
            axes.set_title(title, fontsize=10, family="monospace")
        axes.grid(False)
    return svg.getvalue()


def looked_at(picture: np.ndarray, words: Sequence[str], weights: np.ndarray) -> str:
    """Draw a picture (3, S, S), and for each word where it looks: weights (words, places).

    The places are those of a square, row by row. Without weights the picture stands alone.
    """
    pixels, count = picture.transpose(1, 2, 0), len(words) if weights.size else 0
    words = _shown(words)
    columns = min(4, count + 1)
    rows = -(-(count + 1) // columns)
    size = (0.9 * columns, 1.05 * rows)
    with _texts_kept(), _drawing(size, {"svg.fonttype": "none"}, (rows, columns)) as (axes, svg):
        first, *others = np.ravel(axes)
        for place in (first, *others):
            place.axis("off")
        first.imshow(pixels)
        for place, word, looks in zip(others, words, weights, strict=False):
            side = math.isqrt(len(looks))
            grid = looks[: side * side].reshape(side, side)
            place.imshow(pixels, extent=(0, 1, 1, 0), alpha=0.35)
            place.imshow(grid, extent=(0, 1, 1, 0), cmap="cividis", vmin=0, alpha=0.65)
            place.set_title(word, fontsize=8)
    return svg.getvalue()


def reach(norms: Mapping[str, np.ndarray]) -> str:
    """Draw, for each model, norms (K,) of a gradient 0 to K - 1 steps back by that at 0."""
    with _drawing(SMALL) as (axes, svg):
        for i, (name, found) in enumerate(norms.items()):
            axes.plot(found / found[0], ms=3, label=name, **_style(i))
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(_few(float(np.log10(high / low))))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}" if 1e-3 <= y < 1e4 else f"{y:.0e}")
        axes.set_ylabel("gradient's norm, by that at 0")
        axes.set_xlabel("steps back")
        _legend(axes, columns=2)
    return svg.getvalue()


def spectra(parts: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str) -> str:
    """Draw the singular values (H,) of matrices, dotted before and drawn through after training."""
    with _drawing(SMALL) as (axes, svg):
        axes.axhline(1, color="grey", lw=1)
        for i, (name, (first, trained)) in enumerate(parts.items()):
            ranks, colour = range(1, len(first) + 1), COLOURS[i]
            axes.plot(ranks, trained, color=colour, label=name)
            axes.plot(ranks, first, color=colour, linestyle=":")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("rank")
        axes.set_ylabel("singular value")
        axes.set_title(title, fontsize=10)
        _legend(axes)
    return svg.getvalue()


def saturation(layers: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str) -> str:
    """Draw, for each unit of layers, in what share of steps a gate is shut and open, (H,) each.

    The shares of a unit are at most one together: nothing lies above the dotted line.
    """
    with _drawing(SQUARE) as (axes, svg):
        axes.plot([0, 1], [1, 0], color="grey", linestyle=":")
        for i, (name, (shut, opened)) in enumerate(layers.items()):
            style = {**_style(i), "linestyle": ""}
            axes.plot(opened, shut, ms=4, alpha=0.6, label=name, **style)
        for axis, label in ((axes.xaxis, "wide open"), (axes.yaxis, "shut")):
            axis.set_major_formatter(PercentFormatter(1))
            axis.set_label_text(label)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axes.set_title(title, fontsize=10)
        _legend(axes)
    return svg.getvalue()


def _shown(symbols: Sequence[str]) -> list[str]:
    """Return symbols as they can be drawn: a blank as a dot, what no letter stands for as a box."""
    return [_printable(symbol.strip(JOINER).replace(" ", "·")) for symbol in symbols]


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "□" for sign in text)


@contextlib.contextmanager
def _texts_kept() -> Iterator[None]:
    """Draw texts that stay texts: that the font here lacks a letter of theirs does no harm."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


@contextlib.contextmanager
def _drawing(
    size: tuple[float, float],
    style: Mapping[str, str] | None = None,
    shape: tuple[int, int] = (1, 1),
) -> Iterator[tuple[Any, io.StringIO]]:
    """Yield axes to draw on, or rows and columns of them; the picture is in the buffer then."""
    with plt.rc_context({**STYLE, **(style or {})}):
        figure, axes = plt.subplots(*shape, figsize=size, layout="constrained")
        for place in np.ravel(axes):
            place.grid(alpha=0.3)
        svg = io.StringIO()
        try:
            yield axes, svg
            figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        finally:
            plt.close(figure)


def _curves(axes: Any, table: pd.DataFrame, metric: Metric, x: str) -> None:
    for variant, rows, style in _variants(table):
        axes.plot(rows[x], rows[f"valid_{metric.name}"], ms=4, label=variant, **style)
        axes.fill_between(rows[x], rows["min"], rows["max"], color=style["color"], alpha=0.15)
    _measure(axes, metric, "validation")
    axes.set_xlabel(x)


def _measure(axes: Any, metric: Metric, split: str) -> None:
    """Set up the axis of a metric: its bounds and its unit, or a logarithmic scale."""
    if metric.scale.logarithmic:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(_few(float(np.log10(high / low))))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 10 else f"{x:.3g}")
    elif np.isfinite(metric.high):
        margin = 0.02 * (metric.high - metric.low)
        axes.set_ylim(metric.low - margin, metric.high + margin)
    if metric.scale.unit.strip() == "%":
        axes.yaxis.set_major_formatter(PercentFormatter(metric.high))
    axes.set_ylabel(f"{split} {metric.title}")


def _few(decades: float) -> Locator:
    """Return what labels a logarithmic axis of so many powers of ten: so that none overlap."""
    if decades <= 1:
        return MaxNLocator(5, steps=[1, 2, 5, 10])
    return LogLocator(subs=(1, 2, 5) if decades <= 2 else (1,), numticks=8)


def _legend(axes: Any, columns: int = 4) -> None:
    """Name the variants below the picture, where they cover nothing."""
    _, labels = axes.get_legend_handles_labels()
    axes.figure.legend(loc="outside lower center", ncols=min(columns, len(labels)), fontsize=8)


def _variants(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, dict[str, str]]]:
    """Yield each variant with its rows and how it is drawn: alike in all pictures of a task."""
    for i, (variant, rows) in enumerate(table.groupby("variant", sort=False)):
        yield str(variant), rows, _style(i)


def _style(i: int) -> dict[str, str]:
    """Return how a variant is drawn; where the colours begin anew, with another marker."""
    turn, colour = divmod(i, len(COLOURS))
    return {"color": COLOURS[colour], "marker": MARKERS[(i + turn) % len(MARKERS)]}
