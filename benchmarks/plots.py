"""Plots of what a benchmark has found, as SVG; the same figures give the same bytes."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt

from results import Grown, Result, spread

STYLE = {"svg.hashsalt": "unroll", "svg.fonttype": "path", "font.size": 8}
COLUMNS = 3
TIMES = "times"  # the plot of all ratios


def of_results(results: Sequence[Result]) -> dict[str, str]:
    """Return a plot of how each entry's costs grow, and one of all ratios, by name."""
    drawn = {of.entry: growth(of.grown) for of in results if of.grown}
    ratios = {
        f"{of.entry}, {one.what}: {way}": one.ratio(way)
        for of in results
        for one in of.compared
        for way in list(one.ways)[1:]
    }
    return drawn | ({TIMES: times(ratios)} if ratios else {})


def growth(grown: Sequence[Grown]) -> str:
    """Return costs by size, both on logarithmic axes, each with the line of its exponent."""
    rows = -(-len(grown) // COLUMNS)
    with _drawing(rows, min(COLUMNS, len(grown)), 2.6) as (axes, svg):
        for at, of in zip(axes, grown, strict=False):
            sizes, costs = list(of.points), of.medians()
            spreads = [spread(values) for values in of.points.values()]
            below = [s.median - s.least for s in spreads]
            above = [s.greatest - s.median for s in spreads]
            at.errorbar(sizes, costs, yerr=[below, above], marker="o", capsize=2)
            at.set(xscale="log", yscale="log", xlabel=of.by, ylabel=of.unit)
            at.set_title(f"{of.what}, k = {of.exponent().median:.2f}", fontsize=7)
            at.set_xticks(sizes, [f"{size:g}" for size in sizes])
            at.minorticks_off()
        for at in axes[len(grown) :]:
            at.set_visible(False)
    return svg.getvalue()


def times(ratios: Mapping[str, Any]) -> str:
    """Return how many times as fast things are, with the least and the greatest of the rounds."""
    with _drawing(1, 1, 0.3 * len(ratios) + 1, width=7) as ([at], svg):
        names = list(reversed(ratios))
        medians = [ratios[name].median for name in names]
        below = [ratios[name].median - ratios[name].least for name in names]
        above = [ratios[name].greatest - ratios[name].median for name in names]
        at.barh(names, medians, xerr=[below, above], capsize=2)
        at.axvline(1, color="black", linewidth=0.8)
        at.set(xscale="log", xlabel="times as fast")
    return svg.getvalue()


@contextmanager
def _drawing(
    rows: int, columns: int, height: float, width: float = 3.2
) -> Iterator[tuple[list[Any], io.StringIO]]:
    """Yield axes to draw on, and what holds the plot when the block has ended."""
    svg = io.StringIO()
    with plt.rc_context(STYLE):
        size = (width * columns, height * rows)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="tight")
        yield list(axes.flat), svg
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
