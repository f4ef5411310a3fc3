"""Arrays are read out of pickles of any protocol, and nothing else is, and nothing is run."""

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples
from unroll.errors import DataError
from unroll.options import Compute
from unroll.storage import pickled
from unroll.storage.pickled import read_arrays_of_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
OURS = range(3, pickle.HIGHEST_PROTOCOL + 1)  # those that have bytes
BEGUN = b"\x80\x04"


def arrays(dtype: str) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    wide = random.normal(size=(3, 8)).astype(dtype)
    return [wide, np.asfortranarray(wide), wide[0], wide[:, ::2], wide.T]


def read(path: Path, raw: bytes) -> list[np.ndarray]:
    path.write_bytes(raw)
    return read_arrays_of_pickle(path)


def refused(path: Path, raw: bytes) -> str:
    with pytest.raises(DataError) as error:
        read(path, raw)
    return str(error.value).removeprefix(str(path)).removeprefix(": ")


@pytest.mark.parametrize("protocol", OURS)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_arrays_come_back_as_they_were(tmp_path, dtype, protocol):
    written = arrays(dtype)
    for dumps in (pickle.dumps, pickle._dumps):  # that in C and that in Python
        found = read(tmp_path / "a", dumps(written, protocol=protocol))
        for one, other in zip(found, written, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_a_protocol_of_python_2_is_told_what_to_do(tmp_path, protocol):
    said = refused(tmp_path / "a", pickle.dumps(arrays("f2"), protocol=protocol))
    assert said.startswith("its protocol is one before 3; write it with pickle.dump(params, file)")


@pytest.mark.parametrize("protocol", OURS)
def test_arrays_that_say_the_same_bytes_many_times_take_no_memory(tmp_path, protocol):
    """They are laid over the file's own bytes: none is copied."""
    one = np.zeros(100_000, "f2")
    begin, arguments, state = one.__reduce__()

    class Again:
        def __reduce__(self) -> tuple:
            return begin, arguments, state

    found = read(tmp_path / "a", pickle.dumps([Again() for _ in range(300)], protocol=protocol))
    assert len(found) == 300 and len({array.__array_interface__["data"] for array in found}) == 1


@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
def test_both_spellings_of_numpy_are_known(tmp_path, module):
    raw = pickle.dumps(arrays("f2"), protocol=3)
    for name in (b"numpy.core", b"numpy._core"):
        raw = raw.replace(name, module.encode())
    found = read(tmp_path / "a", raw)
    np.testing.assert_array_equal(found[0], arrays("f2")[0])


def test_an_array_that_stands_twice_is_the_same(tmp_path):
    one = arrays("f4")[0]
    first, second = read(tmp_path / "a", pickle.dumps([one, one]))
    np.testing.assert_array_equal(first, second)


class Calls:
    """What calls something when it is unpickled."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_that_a_pickle_names_is_run(tmp_path, protocol):
    trap = tmp_path / "executed"
    for function, argument, name in (
        (os.system, f"mkdir '{trap}'", f"{os.name}.system"),
        (os.mkdir, str(trap), f"{os.name}.mkdir"),
        (eval, f"__import__('os').mkdir({str(trap)!r})", ".eval"),
        (Path, str(trap), "pathlib"),
    ):
        hostile = Calls(function, argument)
        after = [*arrays("f2"), hostile] if protocol in OURS else [1, hostile]
        for value in (hostile, [hostile], after):
            said = refused(tmp_path / "a", pickle.dumps(value, protocol=protocol))
            assert said.startswith("it names ") and name in said, said
            assert said.endswith("which is no array of NumPy's; nothing of it was run")
    assert not trap.exists()


def test_a_class_of_the_project_is_refused_by_name(tmp_path):
    said = refused(tmp_path / "a", pickle.dumps([Compute()]))
    assert said.startswith("it names unroll.options.Compute, ")


def test_what_numpy_has_besides_is_refused_by_name(tmp_path):
    for value, name in (
        (np.float16(1), "numpy._core.multiarray.scalar"),
        (np.ma.array([1.0]), "numpy.ma"),
        (np.random.default_rng(0), "numpy.random"),
    ):
        assert refused(tmp_path / "a", pickle.dumps([value])).startswith(f"it names {name}")


@pytest.mark.parametrize("protocol", OURS)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([np.array([None, "x"])], "it holds an array of the type O8; weights are of f2, f4, f8"),
        ([np.zeros(2, [("a", "f4")])], "it holds an array of the type V4"),
        ([np.zeros(2, int)], "it holds an array of the type i8"),
        ([np.array(["a"])], "it holds an array of the type U1"),
        ([np.zeros(2, ">f4")], "it holds a type that is not as NumPy leaves it"),
        ([np.zeros((1, 1, 1), "f2")], "it holds an array of 3 dimensions"),
        ([np.array(1.0)], "it holds an array of 0 dimensions"),
        ([[np.zeros(1)]], "item 1 of its list is no array but list"),
        ([np.zeros(1), 3], "item 2 of its list is no array but int"),
        (np.zeros(1), "it holds no list of arrays but one array"),
        ("text", "it holds no list of arrays but one str"),
        ({"W": np.zeros(1)}, "it holds "),
        ({1.5}, "it "),
    ],
)  # fmt: skip
def test_what_is_no_list_of_arrays_is_refused(tmp_path, value, said, protocol):
    assert refused(tmp_path / "a", pickle.dumps(value, protocol=protocol)).startswith(said)


HUGE = 2**40


def with_shape(shape: tuple[int, ...]) -> bytes:
    """Return the pickle of an array that says it has this shape, and has two numbers."""

    class Bomb:
        def __reduce__(self) -> tuple:
            begin, arguments, (version, _, *rest) = np.zeros(2, "f2").__reduce__()
            return begin, arguments, (version, shape, *rest)

    return pickle.dumps([Bomb()])


@pytest.mark.parametrize("shape", [(HUGE,), (HUGE, HUGE), (3,), (1, 1), (-1, -2), (0,), (2, 0)])
def test_a_shape_that_the_numbers_do_not_fill_is_refused_before_there_is_memory(tmp_path, shape):
    said = refused(tmp_path / "a", with_shape(shape))
    assert said.startswith(f"it holds an array of the shape {shape} of f2, and 4 bytes for it")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"text",
        BEGUN,
        BEGUN + b"\x8e" + struct.pack("<Q", HUGE) + b"few.",  # so many bytes
        BEGUN + b"\x8d" + struct.pack("<Q", HUGE) + b"few.",  # a text of so many
        BEGUN + b"\x96" + struct.pack("<Q", 2**63 + 1) + b"few.",
        BEGUN + b"]r\xff\xff\xff\xff",  # noted under the largest number, and then the end
        BEGUN + b"]e.",  # no mark
        BEGUN + b"e.",
        BEGUN + b"R.",
        BEGUN + b"h\x00.",  # noted by nobody
        pickle.dumps(arrays("f2"))[:-20],
    ],
)
def test_what_is_no_pickle_or_a_part_of_one_is_refused(tmp_path, raw):
    assert "is no pickle of arrays, or a part of one" in refused(tmp_path / "a", raw)


def test_a_memo_of_any_number_takes_no_memory(tmp_path):
    """Python's own machine would make room for each number up to it."""
    assert read(tmp_path / "a", BEGUN + b"]r\xff\xff\xff\xff.") == []


def test_a_program_that_is_too_long_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pickled, "MOST_OPCODES", 1000)
    assert refused(tmp_path / "a", BEGUN + b"N" * 2000 + b".").startswith("it has more than 1,000")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(pickle.dumps(arrays("f2")))
    with pytest.raises(DataError, match="has more than 9 bytes"):
        read_arrays_of_pickle(path, largest=9)
    with pytest.raises(DataError, match="cannot be read"):
        read_arrays_of_pickle(tmp_path / "nowhere")


@few_examples
@given(st.data())
def test_whatever_is_damaged_is_read_or_refused_in_words(tmp_path_factory, data):
    raw = bytearray(pickle.dumps(arrays("f2"), protocol=data.draw(st.sampled_from(PROTOCOLS))))
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    try:
        found = read(path, bytes(raw))
    except DataError:
        return
    assert all(isinstance(array, np.ndarray) for array in found)
