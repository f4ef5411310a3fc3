"""The records of a variant are those of one training, or are refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from models.toys import addition, task_section
from unroll import study as studies
from unroll.errors import DataError
from unroll.runs.record import Record, seed_folder, write_documents
from unroll.runs.subject import Subject
from unroll.runs.trained import evaluated, trained
from unroll.storage.files import write_text
from unroll.storage.folders import new_folder
from unroll.study import Study

HISTORY = pd.DataFrame({"epoch": [1], "train_loss": [0.5], "valid_exact_match": [0.25]})
VARIANTS = "{v: {task: sums, seeds: [10, 9]}, other: {task: sums, seeds: [10, 9]}}"


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "params.yaml", f"tasks:\n{task_section('sums', 4)}variants: {VARIANTS}\n")
    return studies.load()


def record(made: Study, seed: int, **changes) -> Record:
    about = Subject("root", "v", made.variant("v"), "ab" * 32, "cd" * 32, {"device": "cpu"})
    task = addition(max_digits=1)
    return Record(replace(about, **changes), seed, task, 12, {"torch": "2.13.0"}, HISTORY)


def write_trained(study: Study, *records: Record) -> Path:
    """Leave these records as the training does: a folder each."""
    for one in records:
        with new_folder(seed_folder(study.model("v"), one.seed)) as new:
            write_documents(new, one)
    return study.model("v")


def write_evaluated(study: Study, *records: Record) -> Path:
    """Leave these records as the evaluation does: in one folder."""
    with new_folder(study.evaluation("v")) as new:
        for one in records:
            inner = seed_folder(new, one.seed)
            inner.mkdir()
            write_documents(inner, one)
    return study.evaluation("v")


LEFT_BY = {
    "training": (write_trained, trained, "train@v"),
    "evaluation": (write_evaluated, evaluated, "evaluate@v"),
}


@pytest.fixture(params=LEFT_BY)
def left_by(request):
    return LEFT_BY[request.param]


def refused(read, study: Study, variant: str) -> str:
    with pytest.raises(DataError) as caught:
        read(study, variant)
    return str(caught.value)


def test_the_records_of_a_training_come_in_the_order_of_their_seeds(study, left_by):
    write, read, _ = left_by
    write(study, record(study, 10), record(study, 9))
    assert [found.seed for found in read(study, "v")] == [9, 10]


def test_a_training_that_lacks_a_seed_is_refused_with_the_way_out(study, left_by):
    write, read, stage = left_by
    folder = write(study, record(study, 9))
    assert refused(read, study, "v") == (
        f"{folder} does not hold all seeds of one training; run: dvc repro {stage}"
    )


CHANGES = {
    "options": lambda study: {"options": study.variant("v").model_copy(update={"dropout": 0.5})},
    "behaviour": lambda _: {"plan": "ef" * 32},
    "data": lambda _: {"data_digest": "ef" * 32},
    "machine": lambda _: {"machine": {"device": "cuda"}},
    "variant": lambda _: {"variant": "other"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_seeds_of_different_trainings_are_refused(study, left_by, change):
    write, read, stage = left_by
    folder = write(study, record(study, 9), record(study, 10, **change(study)))
    assert refused(read, study, "v") == (
        f"{folder} does not hold all seeds of one training; run: dvc repro {stage}"
    )


def test_a_seed_that_is_not_asked_for_is_refused(study, left_by):
    write, read, _ = left_by
    write(study, *(record(study, seed) for seed in (9, 10, 11)))
    assert "does not hold all seeds of one training" in refused(read, study, "v")


def test_the_models_of_another_variant_are_refused(study, left_by):
    write, read, stage = left_by
    folder = write(study, record(study, 9), record(study, 10))
    shutil.copytree(folder, folder.with_name("other"))
    assert refused(read, study, "other") == (
        f"{folder.with_name('other')} holds models of v of the study root; "
        f"run: dvc repro {stage.removesuffix('v')}other"
    )


def test_the_models_of_another_study_are_refused(study, left_by):
    write, read, stage = left_by
    folder = write(study, *(record(study, seed, study="quick") for seed in (9, 10)))
    assert refused(read, study, "v") == (
        f"{folder} holds models of v of the study quick; run: dvc repro {stage}"
    )


def test_a_damaged_record_is_refused_with_the_way_out(study, left_by):
    write, read, stage = left_by
    folder = write(study, record(study, 9), record(study, 10))
    (folder / "seed-9" / "history.csv").write_text("epoch\n1\n")
    message = refused(read, study, "v")
    assert message.startswith(f"{folder / 'seed-9' / 'history.csv'} is damaged")
    assert message.endswith(f"; run: dvc repro {stage}")


def test_what_was_never_trained_is_refused_with_the_way_out(study):
    assert refused(trained, study, "v") == (
        "data/models/v holds no trained model; run: dvc repro train@v"
    )
    assert refused(evaluated, study, "v") == (
        "data/evaluation/v is missing or incomplete; run: dvc repro evaluate@v"
    )
