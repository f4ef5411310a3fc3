"""What is known of a run after its evaluation, whatever its kind."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from unroll.evaluation.items import Items

# Files of a variant's evaluation, beside scores, items, breakdowns and maps.
COUNTS = "counts.json"  # how many examples each split of the data has
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
