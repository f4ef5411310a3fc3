"""What training and evaluation of a variant have left, read for the report."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from unroll.circumstances import Circumstances, circumstances_of
from unroll.config import Study
from unroll.data.files import read_text
from unroll.data.tables import read_table
from unroll.evaluation import attention, breakdown
from unroll.evaluation.items import outcomes, read_items
from unroll.evaluation.scores import scores_of
from unroll.record import Record
from unroll.trained import trained

MAIN_METRICS = ("test_exact_match", "test_perplexity")


@dataclass(frozen=True)
class Result:
    """What is known of a trained and evaluated variant; its seeds are in one order everywhere."""

    records: list[Record]
    scores: pd.DataFrame  # seed, metric, value
    items: list[dict[str, np.ndarray]]  # of the test split (evaluation/items.py)
    breakdown: pd.DataFrame  # seed, and the columns of evaluation/breakdown.py
    attention: list[dict[str, np.ndarray]]  # empty where the decoder has none
    circumstances: Circumstances
    samples: str

    @property
    def seeds(self) -> list[int]:
        """The seeds in the order of the records."""
        return [record.seed for record in self.records]

    @property
    def parameters(self) -> int:
        """How many parameters a model of the variant has."""
        return self.records[0].parameters

    @property
    def seconds(self) -> float:
        """Seconds of training and validation, mean of the seeds."""
        return float(self.circumstances.seconds.mean())

    def outcomes(self, metric: str, seeds: list[int]) -> np.ndarray:
        """Return the outcomes (S, I) of a metric; I is 1 where only the seeds' means are known.

        Those of a perplexity are its logarithms.
        """
        if metric in MAIN_METRICS:
            return outcomes([self.items[self.seeds.index(seed)] for seed in seeds])
        values = self.scores[self.scores["metric"] == metric].set_index("seed")["value"]
        found = values.loc[seeds].to_numpy(dtype=float)[:, None]
        return np.log(found) if is_perplexity(metric) else found


def is_perplexity(metric: str) -> bool:
    """Say whether a metric is a perplexity: less of it is better."""
    return metric.endswith("perplexity")


def main_metric(metrics: pd.Series) -> str:
    """Return the metric of the test split that decides."""
    return str(next(metric for metric in metrics if metric in MAIN_METRICS))


def read_result(study: Study, variant: str) -> Result:
    """Read all that is known of a variant.

    Raises:
        DataError: something is missing or damaged; the message says what to run.
    """
    records = trained(study, variant)
    folder, evaluated = study.evaluation(variant), study.remedy(f"evaluate@{variant}")
    scores = scores_of(study, variant, records)
    folders = {record.seed: folder / f"seed-{record.seed}" for record in records}
    pairs = study.variants[variant].kind == "pairs"
    columns = breakdown.PAIRS_COLUMNS if pairs else breakdown.CORPUS_COLUMNS
    tables = [
        read_table(path / "breakdown.csv", columns, evaluated, columns[2:]).assign(seed=seed)
        for seed, path in folders.items()
    ]
    symbols = len(records[0].vocabulary)
    with_maps = [path for path in folders.values() if (path / attention.NAME).is_file()]
    samples = next(iter(folders.values())) / "samples.txt" if pairs else study.generated(variant)
    return Result(
        records,
        scores,
        [read_items(path, evaluated) for path in folders.values()],
        pd.concat(tables, ignore_index=True),
        [attention.read_maps(path, symbols, evaluated) for path in with_maps],
        circumstances_of(study, variant, records),
        _text(samples),
    )


def _text(path: Path) -> str:
    return read_text(path) if path.is_file() else ""
