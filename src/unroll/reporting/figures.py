"""Pictures of a study, as SVG with always the same bytes for the same numbers."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator, PercentFormatter

from unroll.evaluation.selection import validation_metric
from unroll.record import Record
from unroll.reporting.comparison import curves

# Okabe & Ito's colours, told apart by colour-blind readers too, with markers as a second sign.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^Dv*P"

LABELS = {
    "valid_exact_match": "validation exact match",
    "valid_perplexity": "validation perplexity",
}


def learning_curves(records: Mapping[str, list[Record]], title: str, path: Path) -> None:
    """Draw the validation metric of one task's variants: mean and range of the seeds."""
    table = curves(records)
    metric, _ = validation_metric(next(iter(records.values()))[0])
    with plt.rc_context({"svg.hashsalt": "unroll", "svg.fonttype": "path"}):
        figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
        for i, (variant, rows) in enumerate(table.groupby("variant", sort=False)):
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            axes.plot(
                rows["epoch"], rows[metric], color=colour, marker=marker, ms=4, label=str(variant)
            )
            axes.fill_between(rows["epoch"], rows["min"], rows["max"], color=colour, alpha=0.15)
        if metric.endswith("perplexity"):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:.0f}")
            axes.yaxis.set_minor_formatter("{x:.0f}")
        else:
            axes.set_ylim(0, 1)
            axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel(LABELS[metric])
        axes.set_title(title)
        axes.grid(alpha=0.3)
        axes.legend()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(figure)
