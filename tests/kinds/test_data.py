"""The data of each kind: what it saves is what it loads, and nothing else is taken for it."""

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.toys import (
    captions_options,
    corpus_options,
    labels_options,
    pairs_options,
    replies_options,
)
from unroll import kinds
from unroll.data.pictures import Pictures
from unroll.data.prepared import read_form
from unroll.data.sequences import SPLITS, Sequences
from unroll.errors import DataError, remedy
from unroll.options import OPTIONS

MAKE = {
    "pairs": pairs_options,
    "replies": replies_options,
    "captions": captions_options,
    "corpus": corpus_options,
    "labels": labels_options,
}
# Replies are kept as pairs are.
KEPT_ALIKE = {"pairs", "replies"}
OTHERS = [both for both in permutations(OPTIONS, 2) if set(both) != KEPT_ALIKE]
COUNTS = {"pairs": 12, "replies": 12, "captions": 12, "corpus": 3, "labels": 9}
WAY_OUT = "run: dvc repro prepare@toy"


def made(name: str) -> tuple[Any, Any]:
    """Return a kind with data of it."""
    kind = kinds.named(name)
    return kind, kind.made_up(MAKE[name]())


def arrays(data: Any) -> Iterator[np.ndarray]:
    """Return all arrays of data of any kind."""
    for value in vars(data).values():
        if isinstance(value, dict) and value.keys() == set(SPLITS):
            for split in SPLITS:
                found = value[split]
                if isinstance(found, Sequences | Pictures):
                    yield from vars(found).values()
                elif isinstance(found, np.ndarray):
                    yield found


@pytest.fixture
def folders(tmp_path) -> Path:
    """Return a folder with prepared data of each kind."""
    for name in OPTIONS:
        kind, data = made(name)
        kind.save(data, tmp_path / name)
    return tmp_path


def load(name: str, folder: Path) -> Any:
    with remedy(WAY_OUT):
        return kinds.named(name).load(folder)


@pytest.mark.parametrize("name", OPTIONS)
def test_data_are_loaded_as_they_were_saved(folders, name):
    kind, expected = made(name)
    found = load(name, folders / name)
    assert type(found) is type(expected)
    assert kind.form(found) == kind.form(expected)
    pairs = list(zip(arrays(found), arrays(expected), strict=True))
    assert len(pairs) == COUNTS[name]
    assert all(np.array_equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("name", OPTIONS)
def test_what_a_model_must_know_of_the_data_is_the_form_of_its_kind(folders, name):
    kind, data = made(name)
    assert type(kind.form(data)) is kind.Form
    assert read_form(folders / name, kind.Form) == kind.form(data)


@pytest.mark.parametrize("name", OPTIONS)
def test_made_up_data_are_always_the_same(name):
    kind, data = made(name)
    again = kind.made_up(MAKE[name](hidden_size=8))
    assert all(np.array_equal(*both) for both in zip(arrays(data), arrays(again), strict=True))


@pytest.mark.parametrize(("name", "other"), OTHERS)
def test_data_of_another_kind_are_refused_with_the_way_out(folders, name, other):
    with pytest.raises(DataError) as caught:
        load(name, folders / other)
    kept_as = "pairs" if name == "replies" else name
    told = f"{folders / other} does not hold data of the kind {kept_as}; {WAY_OUT}"
    assert str(caught.value) == told


@pytest.mark.parametrize("name", OPTIONS)
def test_missing_data_are_refused_with_the_way_out(tmp_path, name):
    with pytest.raises(DataError, match=f"missing or incomplete; {WAY_OUT}$"):
        load(name, tmp_path / "nowhere")


@pytest.mark.parametrize("name", OPTIONS)
def test_damaged_data_are_refused_with_the_way_out(folders, name):
    damaged = sorted((folders / name).glob("*.npy"))[0]
    damaged.write_bytes(b"rubbish")
    with pytest.raises(DataError, match=rf"{damaged.name} is damaged.*{WAY_OUT}$"):
        load(name, folders / name)


@pytest.mark.parametrize("name", ["pairs", "replies", "labels"])
def test_questions_are_the_texts_of_the_sources(name):
    kind, data = made(name)
    found = kind.questions(data)
    assert found.keys() == set(SPLITS)
    assert found["test"] == data.sources["test"].texts(data.form.source)


def test_a_stream_has_no_questions():
    kind, data = made("corpus")
    assert kind.questions(data) == {}
