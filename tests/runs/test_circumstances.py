import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from models.toys import pairs_options
from models.toys import record as toy_record
from unroll.errors import DataError
from unroll.runs.circumstances import (
    EpochTiming,
    Session,
    Source,
    circumstances_of,
    copy_circumstances,
    read_circumstances,
    read_diff,
    write_circumstances,
)
from unroll.runs.record import Record, seed_folder
from unroll.storage.files import write_text
from unroll.storage.folders import check_folder, new_folder

FILES = ["epochs.csv", "session.json", "uncommitted.diff"]
SOURCE = Source(
    command="unroll train v",
    stage="train@v",
    experiment=None,
    commit="ab" * 20,
    folder="",
    dirty=True,
    sources=["cd" * 32],
)
SESSION = Session(started=10.0, ended=14.5, peak_memory_mb=123.5, source=SOURCE)
EPOCHS = [
    EpochTiming(1, 11.0, 1.235, 0.5, 3.5, 1_000.5),
    EpochTiming(2, 13.0, 1.5, 0.125, 100.0, 2_000.0),
]
DIFF = b"diff --git a/x b/x\n"


def record(seed: int, epochs: int) -> Record:
    """Return the record of a training of so many epochs."""
    return toy_record(pairs_options(), seed=seed, valid_exact_match=[0.5] * epochs)


def write(folder: Path, epochs=EPOCHS, session: Session = SESSION, diff: bytes = DIFF) -> Path:
    write_circumstances(folder, epochs, session, diff)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "v" / "seed-7")


def test_what_is_noted_is_what_is_read(folder):
    found = read_circumstances(folder, record(7, 2))
    pd.testing.assert_frame_equal(found.epochs, pd.DataFrame(EPOCHS), check_exact=True)
    assert (found.session, found.source, read_diff(folder)) == (SESSION, SOURCE, DIFF)


def test_seconds_are_those_of_training_and_validation_of_all_epochs(folder):
    assert read_circumstances(folder, record(7, 2)).seconds == pytest.approx(3.36)


def test_an_earlier_folder_is_replaced(tmp_path):
    write_text(tmp_path / "v" / "old.csv", "old")
    write(tmp_path / "v")
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == sorted(
        [*FILES, "manifest.json"]
    )
    check_folder(tmp_path / "v")


@pytest.mark.parametrize("diff", [b"", b"\xff\xfe", b"one\r\ntwo\rthree\n", bytes(range(256))])
def test_a_diff_is_read_in_its_own_bytes(tmp_path, diff):
    assert read_diff(write(tmp_path / "v", diff=diff)) == diff


def test_all_but_the_diff_is_copied_to_where_others_read_it(folder, tmp_path):
    """It may hold what is no one else's: evaluations are in git, the diff is not."""
    copy_circumstances(folder, tmp_path / "evaluation" / "seed-7")
    copied = tmp_path / "evaluation" / "seed-7"
    assert sorted(path.name for path in copied.iterdir()) == ["epochs.csv", "session.json"]
    found, again = (read_circumstances(place, record(7, 2)) for place in (folder, copied))
    assert found.session == again.session
    pd.testing.assert_frame_equal(found.epochs, again.epochs, check_exact=True)


def source(**changes) -> Source:
    return Source.model_validate({**SOURCE.model_dump(), **changes})


@pytest.mark.parametrize("commit", ["", "abc", "A" * 40, "main"])
def test_a_commit_is_forty_hexadecimal_digits_or_more(commit):
    assert source(commit="ef" * 32).commit == "ef" * 32
    with pytest.raises(ValidationError, match="commit"):
        source(commit=commit)


def test_there_are_sources_by_which_it_was_trained():
    assert source(sources=["a", "b"]).sources == ["a", "b"]
    with pytest.raises(ValidationError, match="sources"):
        source(sources=[])


def test_circumstances_of_the_training_that_left_the_models_are_taken(tmp_path):
    write(tmp_path / "seed-7")
    write(tmp_path / "seed-4", EPOCHS[:1])
    found = circumstances_of(tmp_path, [record(4, 1), record(7, 2)])
    assert list(found) == [4, 7]
    assert found[4].seconds == pytest.approx(1.735)
    assert found[7].seconds == pytest.approx(3.36)


@pytest.mark.parametrize("epochs", [1, 3])
def test_circumstances_of_another_training_are_refused(tmp_path, epochs):
    write(tmp_path / "seed-7")
    with pytest.raises(DataError) as caught:
        circumstances_of(tmp_path, [record(7, epochs)])
    assert str(caught.value) == (
        f"{tmp_path / 'seed-7'} is not of the training that left the model"
    )


def test_circumstances_of_a_seed_that_has_none_are_refused(folder):
    with pytest.raises(DataError, match=r"seed-9 is missing or incomplete$"):
        circumstances_of(folder.parent, [record(7, 2), record(9, 2)])


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_damaged_file_is_refused_by_name(folder, name):
    with (folder / name).open("a") as file:
        file.write("7")
    with pytest.raises(DataError, match=rf"{name} is damaged"):
        circumstances_of(folder.parent, [record(7, 2)])
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing$"):
        circumstances_of(folder.parent, [record(7, 2)])


def altered(folder: Path, name: str, content: bytes | None) -> Path:
    """Return a folder with a right manifest in which a file is another, or none."""
    other = folder.parents[1] / "altered"
    with new_folder(seed_folder(other, 7)) as new:
        ignored = shutil.ignore_patterns("manifest.json", name)
        shutil.copytree(folder, new, dirs_exist_ok=True, ignore=ignored)
        if content is not None:
            (new / name).write_bytes(content)
    return other


@pytest.mark.parametrize("name", ["epochs.csv", "session.json"])
def test_a_folder_that_never_had_a_file_is_refused(folder, name):
    other = altered(folder, name, None)
    with pytest.raises(DataError, match=rf"altered.*{name} cannot be read \("):
        circumstances_of(other, [record(7, 2)])


def with_value(place: str, value) -> bytes:
    """Return session.json with another value at a place."""
    document = SESSION.model_dump()
    *outer, key = place.split(".")
    part = document
    for name in outer:
        part = part[name]
    part[key] = value
    return json.dumps(document).encode()


HEADER = b"epoch,ended,train_seconds,valid_seconds,cpu_percent,memory_mb\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("session.json", b"{}"),
        ("session.json", b"[]"),
        ("session.json", b"{"),
        ("session.json", with_value("started", "10")),
        ("session.json", with_value("more", 1)),
        ("session.json", with_value("source", {})),
        ("session.json", with_value("source.command", 3)),
        ("session.json", with_value("source.commit", "main")),
        ("session.json", with_value("source.sources", [])),
        ("epochs.csv", b""),
        ("epochs.csv", b"\xff\xfe\n1,2\n"),
        ("epochs.csv", HEADER),
        ("epochs.csv", HEADER + b"1,2,3,4,5,6\n1,2,3,4,5,6\n"),
        ("epochs.csv", HEADER + b"1,2,3,4,5,6\n2,2,3,4,5,6,7\n"),
        ("epochs.csv", HEADER + b"1,2,3,4,5,much\n2,2,3,4,5,6\n"),
        ("epochs.csv", HEADER + b"1,2,3,4,5,\n2,2,3,4,5,6\n"),
        ("epochs.csv", HEADER + b"1.5,2,3,4,5,6\n2.5,2,3,4,5,6\n"),
        ("epochs.csv", HEADER + b"2,2,3,4,5,6\n1,2,3,4,5,6\n"),
        ("epochs.csv", HEADER + b"1,2,3,4,5,6\n3,2,3,4,5,6\n"),
    ],
)
def test_a_file_of_another_form_is_refused(folder, name, content):
    other = altered(folder, name, content)
    with pytest.raises(DataError, match="altered/seed-7"):
        circumstances_of(other, [record(7, 2)])


def without_a_column(header: list[str]) -> list[str]:
    return header[:-1]


def with_another_column(header: list[str]) -> list[str]:
    return [*header, "more"]


def with_a_column_renamed(header: list[str]) -> list[str]:
    return [*header[:-1], "memory_gb"]


def with_columns_swapped(header: list[str]) -> list[str]:
    return [header[1], header[0], *header[2:]]


@pytest.mark.parametrize(
    "change",
    [without_a_column, with_another_column, with_a_column_renamed, with_columns_swapped],
)
def test_a_table_with_other_columns_is_refused_with_their_names(folder, change):
    header = change(HEADER.decode().strip().split(","))
    rows = [",".join([str(n)] * len(header)) for n in (1, 2)]
    content = "\n".join([",".join(header), *rows, ""])
    other = altered(folder, "epochs.csv", content.encode())
    with pytest.raises(DataError) as caught:
        circumstances_of(other, [record(7, 2)])
    path = other / "seed-7" / "epochs.csv"
    assert str(caught.value) == f"{path} has the columns {', '.join(header)}"


def test_a_diff_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"uncommitted\.diff cannot be read"):
        read_diff(tmp_path)
