"""What is known of a run after its evaluation, whatever its kind."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from unroll.errors import DataError
from unroll.evaluation.items import Items
from unroll.storage.files import read_json

if TYPE_CHECKING:
    from unroll.evaluation.inside import Inside

# Files of a variant's evaluation, beside scores, items, breakdowns and maps.
COUNTS = "counts.json"  # how many examples each split of the data has
NOTES = "notes.json"  # of each seed: how metrics were computed that have more than one form
SETTINGS = "settings.json"  # of each seed: what methods were tuned to, by metric
SAMPLES = "samples.txt"  # of each seed: the first questions and their answers


@dataclass(frozen=True)
class Evaluation:
    """Scores of a run; all else is of the test split."""

    scores: dict[str, float]  # named by split and metric: test_exact_match
    items: Items  # what each test item brought, by metric (evaluation/items.py)
    breakdown: pd.DataFrame  # where it fails (evaluation/breakdown.py)
    samples: str = ""  # the first questions and their answers, where there are any
    maps: list[dict[str, Any]] = field(
        default_factory=list
    )  # of attention (evaluation/attention.py)
    notes: dict[str, str] = field(default_factory=dict)  # how a metric was computed: a signature
    settings: dict[str, dict[str, float]] = field(
        default_factory=dict
    )  # that methods were tuned to
    tokens: dict[str, np.ndarray] = field(
        default_factory=dict
    )  # log-probabilities (T,) of each token of a text, by metric (evaluation/tokens.py)
    inside: "Inside | None" = None  # (evaluation/inside.py)
    sheet: list[dict[str, Any]] = field(default_factory=list)  # of pictures (evaluation/sheets.py)


def read_settings(folder: Path) -> dict[str, dict[str, float]]:
    """Return what methods were tuned to for a seed, by metric; nothing is the rule.

    Raises:
        DataError: the file does not say so.
    """
    path = folder / SETTINGS
    found = read_json(path) if path.is_file() else {}
    for setting in found.values():
        if not isinstance(setting, dict) or not all(
            type(value) in (int, float) for value in setting.values()
        ):
            raise DataError(f"{path} does not say what methods were tuned to")
    return found


def read_notes(folders: Sequence[Path]) -> dict[str, str]:
    """Return how metrics of the evaluations of all seeds were computed; nothing is the rule.

    Raises:
        DataError: a file does not say so, or they were computed in different ways.
    """
    paths = [folder / NOTES for folder in folders]
    first, *others = [read_json(path) if path.is_file() else {} for path in paths]
    if not all(isinstance(note, str) for note in first.values()):
        raise DataError(f"{paths[0]} does not say how metrics were computed")
    for path, notes in zip(paths[1:], others, strict=True):
        if notes != first:
            raise DataError(f"{path} has metrics that were computed otherwise than in {paths[0]}")
    return first
