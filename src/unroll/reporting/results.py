"""What training and evaluation of a variant have left, read for the report: no model is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from unroll.data.prepared import checked_counts
from unroll.evaluation import breakdown
from unroll.evaluation.evaluation import COUNTS, SAMPLES, read_notes, read_settings
from unroll.evaluation.inside import Inside
from unroll.evaluation.items import Item, check_alike, outcomes, read_items
from unroll.evaluation.looks import read_inside
from unroll.evaluation.maps import Map, read_maps
from unroll.evaluation.scores import scores_of
from unroll.evaluation.sheets import Shot, read_sheet
from unroll.generation import novelty
from unroll.kinds.kind import Kind
from unroll.runs.circumstances import Circumstances, read_circumstances
from unroll.runs.record import Record, best, seed_folder
from unroll.runs.trained import evaluated
from unroll.storage.files import read_json, read_text
from unroll.storage.folders import check_folder
from unroll.storage.tables import read_table
from unroll.study import Study


@dataclass(frozen=True)
class Result:
    """What is known of a trained and evaluated variant; its seeds are in one order everywhere."""

    records: list[Record]
    scores: pd.DataFrame  # seed, metric, value
    items: list[dict[str, Item]]  # of the test split (evaluation/items.py)
    breakdown: pd.DataFrame  # seed, and the columns of evaluation/breakdown.py
    maps: list[list[Map]]  # of attention, for each seed
    sheets: list[list[Shot]]  # of pictures, for each seed
    circumstances: Mapping[int, Circumstances]
    counts: Mapping[str, int]  # examples of each split
    samples: str
    novelty: pd.DataFrame | None  # of language models (generation/novelty.py)
    inside: Inside | None  # what goes on inside the best seed, where one has looked
    settings: Mapping[str, Mapping[str, float]]  # that methods were tuned to for the best seed
    notes: Mapping[str, str]  # how metrics were computed that have more than one form

    @property
    def kind(self) -> Kind[Any, Any]:
        """The kind of the variant's models."""
        return self.records[0].kind

    @property
    def seeds(self) -> list[int]:
        """The seeds in the order of the records."""
        return [record.seed for record in self.records]

    @property
    def best(self) -> int:
        """The place of the seed that is best on validation."""
        return self.seeds.index(best(self.records).seed)

    @property
    def parameters(self) -> int:
        """How many parameters a model of the variant has."""
        return self.records[0].parameters

    @property
    def seconds(self) -> float:
        """Seconds of training and validation, mean of the seeds."""
        return float(np.mean([found.seconds for found in self.circumstances.values()]))

    def outcomes(self, score: str, seeds: Sequence[int]) -> np.ndarray:
        """Return the outcomes (S, I) of a score, on the scale on which it is compared.

        I is 1 where only the means of the seeds are known, as those of validation.
        """
        split, _, name = score.partition("_")
        if split == "test" and name in self.items[0]:
            return outcomes([self.items[self.seeds.index(seed)][name] for seed in seeds])
        values = self.scores[self.scores["metric"] == score].set_index("seed")["value"]
        return self.kind.metric(score).scale.to(values.loc[list(seeds)])[:, None]


def read_result(study: Study, variant: str) -> Result:
    """Read all that is known of a variant.

    Raises:
        DataError: something is missing or damaged; the message says what to run.
    """
    records = evaluated(study, variant)
    scores = scores_of(study, variant, records)
    folder = study.evaluation(variant)
    folders = [seed_folder(folder, record.seed) for record in records]
    with study.remedy(f"evaluate@{variant}"):
        tables = [
            read_table(path / "breakdown.csv", breakdown.COLUMNS, breakdown.NUMBERS).assign(
                seed=record.seed
            )
            for record, path in zip(records, folders, strict=True)
        ]
        items = [read_items(path) for path in folders]
        check_alike(folder, items, [metric.name for metric in records[0].kind.metrics])
        maps = [read_maps(path) for path in folders]
        sheets = [read_sheet(path) for path in folders]
        circumstances = {
            record.seed: read_circumstances(path, record)
            for record, path in zip(records, folders, strict=True)
        }
        counts = checked_counts(folder / COUNTS, read_json(folder / COUNTS))
        notes = read_notes(folders)
        looks = [read_inside(path) for path in folders]
        settings = [read_settings(path) for path in folders]
    written = study.generated(variant)
    with study.remedy(f"generate@{variant}"):
        if written.is_dir():
            check_folder(written)
        known = written / novelty.FILE
        new = None
        if known.is_file():
            new = read_table(known, novelty.COLUMNS, novelty.COLUMNS[1:])
    texts = [written / SAMPLES, *(path / SAMPLES for path in folders)]
    samples = next((read_text(path) for path in texts if path.is_file()), "")
    breakdowns = pd.concat(tables, ignore_index=True)
    return Result(
        records,
        scores,
        items,
        breakdowns,
        maps,
        sheets,
        circumstances,
        counts,
        samples,
        new,
        next(filter(None, looks), None),
        settings[[record.seed for record in records].index(best(records).seed)],
        notes,
    )
