"""The records of a variant are those of one training, or are refused."""

import shutil
from dataclasses import replace

import pandas as pd
import pytest

from models.toys import DIGITS, seq2seq, task_section
from unroll import study
from unroll.study import Study
from unroll.storage.files import write_text
from unroll.errors import DataError
from unroll.runs.record import Record, seed_folder, write_record
from unroll.runs.subject import Subject
from unroll.runs.trained import trained

HISTORY = pd.DataFrame({"epoch": [1], "train_loss": [0.5], "valid_exact_match": [0.25]})
FORM = {"source_length": 4, "target_length": 5, "start": "_"}
VARIANTS = "{v: {task: sums, seeds: [10, 9]}, other: {task: sums, seeds: [10, 9]}}"


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "params.yaml", f"tasks:\n{task_section('sums', 4)}variants: {VARIANTS}\n")
    return study.load()


def write(made: Study, *seeds: int, history: pd.DataFrame = HISTORY, **changes) -> None:
    """Leave the records of seeds of `v`, trained with these changes of its subject."""
    about = Subject("root", "v", made.variant("v"), "ab" * 32, "cd" * 32, {"device": "cpu"})
    for seed in seeds:
        record = Record(replace(about, **changes), seed, 1, FORM, DIGITS, history)
        write_record(seed_folder(made.model("v"), seed), record, seq2seq())


def refused(study: Study, variant: str, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        trained(study, variant)
    assert str(study.model(variant)) in str(caught.value) or "seed 9" in str(caught.value)


def test_the_records_of_a_training_come_in_the_order_of_their_seeds(study):
    write(study, 9, 10)
    assert [record.seed for record in trained(study, "v")] == [9, 10]


def test_a_training_that_lacks_a_seed_is_refused_with_the_way_out(study):
    write(study, 9)
    refused(study, "v", "does not hold all seeds of one training; run: dvc repro train@v$")


@pytest.mark.parametrize(
    "change",
    [
        lambda study: {"options": study.variant("v").model_copy(update={"learning_rate": 0.5})},
        lambda _: {"sources_digest": "ef" * 32},
        lambda _: {"data_digest": "ef" * 32},
        lambda _: {"environment": {"device": "cuda"}},
    ],
    ids=["options", "code", "data", "environment"],
)
def test_seeds_of_different_trainings_are_refused(study, change):
    write(study, 9)
    write(study, 10, **change(study))
    refused(study, "v", "does not hold all seeds of one training")


def test_the_models_of_another_variant_are_refused(study):
    write(study, 9, 10)
    shutil.copytree(study.model("v"), study.model("other"))
    refused(study, "other", "holds models of v of the study root; ")


def test_the_models_of_another_study_are_refused(study):
    write(study, 9, 10, study="quick")
    refused(study, "v", "holds models of v of the study quick; ")


def test_a_history_without_the_metric_that_decides_is_refused(study):
    write(study, 9, 10, history=HISTORY.rename(columns={"valid_exact_match": "valid_x"}))
    refused(study, "v", "the history of v, seed 9 lacks valid_exact_match; train it again")
