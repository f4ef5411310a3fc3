"""Where data come from: an option that does nothing there is refused."""

from typing import Literal

import pytest
from pydantic import ValidationError

from unroll.data.source import SourceOptions, refuse_idle
from unroll.errors import DataError


class Options(SourceOptions):
    built_in, own = "words", "a folder"
    of_built_in = ("train",)
    of_own = ("column", "shortest")

    kind: Literal["toy"] = "toy"
    source: str = "words"
    train: int = 10
    column: str = "text"
    shortest: int = 1


@pytest.mark.parametrize(
    "given", [{}, {"train": 5}, {"source": "a", "column": "b"}, {"column": "text"}]
)
def test_what_has_an_effect_is_taken_and_so_is_what_is_said_as_it_is(given):
    assert Options(**given).is_built_in == ("source" not in given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"column": "b"}, "column: only of a folder; leave it out"),
        ({"column": "b", "shortest": 2}, "column, shortest: only of a folder; leave it out"),
        ({"source": "a", "train": 5}, "train: only of words; leave it out"),
    ],
)
def test_what_has_no_effect_is_refused_by_name(given, message):
    with pytest.raises(ValidationError, match=message):
        Options(**given)


def test_of_several_sources_each_has_its_options():
    refuse_idle(Options(), {"a net": ("column",), "a disk": ("train",)})
    refuse_idle(Options(train=5), {"a net": ("column",)})
    with pytest.raises(ValueError, match="train: only of a disk; leave it out"):
        refuse_idle(Options(train=5), {"a net": ("column",), "a disk": ("train",)})


def test_a_file_is_one_that_is_there(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    assert Options(source=str(tmp_path / "a.txt")).file() == tmp_path / "a.txt"
    for missing in (tmp_path, tmp_path / "b.txt"):
        with pytest.raises(DataError, match=f"{missing} is no file; name one, or choose: words"):
            Options(source=str(missing)).file()
