import errno
import io
import os
import resource
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unroll.errors import DataError
from unroll.storage import files


def names(folder):
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())


def test_text_is_written_as_utf8_with_plain_line_ends_in_new_folders(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    files.write_text(path, "Größe\nzwei\n")
    assert path.read_bytes() == b"Gr\xc3\xb6\xc3\x9fe\nzwei\n"
    assert files.read_text(path) == "Größe\nzwei\n"
    assert names(tmp_path) == ["new/folder/a.txt"]


def test_failed_write_leaves_the_earlier_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "whole")
    with pytest.raises(UnicodeEncodeError):
        files.write_text(path, "half \ud800")
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["a.txt"]


def test_failed_first_write_leaves_nothing(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        files.write_text(tmp_path / "a.txt", "half \ud800")
    assert names(tmp_path) == []


def refuse_to_sync(number):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_is_told_with_the_name_of_the_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    files.write_text(path, "whole")
    monkeypatch.setattr(os, "fsync", refuse_to_sync)
    with pytest.raises(OSError, match="No space left on device") as caught:
        files.write_text(path, "other")
    assert caught.value.filename == str(path)
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["a.txt"]


def test_disk_that_takes_half_a_file_is_told_with_its_name(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "whole")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            files.write_text(path, "other" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(path)
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["a.txt"]


@pytest.fixture
def synced(tmp_path, monkeypatch):
    """Return a list of what is brought to the disk, with what there is in tmp_path by then."""
    found, fsync = [], os.fsync

    def note(number):
        there = sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".")
        found.append((os.fstat(number).st_ino, there))
        fsync(number)

    monkeypatch.setattr(os, "fsync", note)
    return found


def test_file_is_on_the_disk_before_it_has_its_name_and_the_name_after(tmp_path, synced):
    files.write_text(tmp_path / "a.txt", "whole")
    file, folder = (tmp_path / "a.txt").stat(), tmp_path.stat()
    assert synced == [(file.st_ino, []), (folder.st_ino, ["a.txt"])]


def test_json_is_written_readably_in_the_order_given(tmp_path):
    files.write_json(tmp_path / "a.json", {"z": 1, "a": ["ö", None]})
    assert (tmp_path / "a.json").read_text("utf-8") == (
        '{\n "z": 1,\n "a": [\n  "ö",\n  null\n ]\n}\n'
    )
    assert files.read_json(tmp_path / "a.json") == {"z": 1, "a": ["ö", None]}


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError) as caught:
        files.read_text(tmp_path / "a.txt")
    assert str(caught.value) == f"{tmp_path / 'a.txt'} cannot be read (No such file or directory)"
    assert caught.value.exit_code == 1


def test_folder_in_place_of_a_file_is_named(tmp_path):
    with pytest.raises(DataError, match=rf"^{tmp_path} cannot be read \(Is a directory\)"):
        files.read_text(tmp_path)


def test_wrong_encoding_is_named_with_file_and_line(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("eins\nzwei\nGröße\n".encode("latin-1"))
    with pytest.raises(DataError) as caught:
        files.read_text(path)
    assert str(caught.value) == f"{path}, line 3: not UTF-8 (byte 0xf6); save the file as UTF-8"


def test_text_of_the_largest_size_is_read_and_a_larger_one_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_TEXT", 4_000)
    path = tmp_path / "a.txt"
    path.write_text("a" * 4_000)
    assert files.read_text(path) == "a" * 4_000
    path.write_text("a" * 4_001)
    with pytest.raises(DataError) as caught:
        files.read_text(path)
    assert str(caught.value) == f"{path} has more than 4,000 bytes"


def test_lines_are_read_with_their_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("eins\r\n\nzwei ö\x85\rdrei\nlast".encode())
    assert list(files.read_lines(path)) == ["eins\r\n", "\n", "zwei ö\x85\rdrei\n", "last"]
    path.write_bytes(b"")
    assert list(files.read_lines(path)) == []


@pytest.mark.parametrize("end", ["", "\n"])
def test_line_of_the_largest_size_is_read_and_a_longer_one_refused(tmp_path, monkeypatch, end):
    monkeypatch.setattr(files, "LARGEST_LINE", 8)
    path, longest = tmp_path / "a.txt", "a" * (8 - len(end)) + end
    path.write_text("\n" + longest)
    assert list(files.read_lines(path)) == ["\n", longest]
    path.write_text(f"\na{longest}")
    with pytest.raises(DataError) as caught:
        list(files.read_lines(path))
    assert str(caught.value) == f"{path}, line 2: more than 8 bytes; put one sentence on each line"


def test_lines_in_another_encoding_or_of_no_file_are_named(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("eins\nzwei\nGröße\n".encode("latin-1"))
    told = f"{path}, line 3: not UTF-8 (byte 0xf6); save the file as UTF-8"
    for read in (files.read_text, lambda path: list(files.read_lines(path))):
        with pytest.raises(DataError) as caught:
            read(path)
        assert str(caught.value) == told
    with pytest.raises(DataError, match=r"no\.txt cannot be read \(No such file or directory\)"):
        list(files.read_lines(tmp_path / "no.txt"))


def test_of_a_line_without_end_no_more_is_read_than_one_may_have(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(2**26)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="line 1: more than 1,048,576 bytes"):
            list(files.read_lines(tmp_path / "a"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20


def test_json_of_the_largest_size_is_read_and_a_larger_one_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_JSON", 8)
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert files.read_json(path) == {"a": 1}
    path.write_text('{"a": 10}')
    with pytest.raises(DataError) as caught:
        files.read_json(path)
    assert str(caught.value) == f"{path} has more than 8 bytes"


@pytest.mark.parametrize("read", [files.read_text, files.read_json])
def test_nothing_of_a_file_that_is_too_large_is_read(tmp_path, monkeypatch, read):
    for limit in ("LARGEST_TEXT", "LARGEST_JSON"):
        monkeypatch.setattr(files, limit, 2**20)
    with (tmp_path / "a").open("wb") as file:
        file.truncate(2**26)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="has more than 1,048,576 bytes"):
            read(tmp_path / "a")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_broken_json_is_named_with_file_and_line(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{\n "a": 1,\n oops\n}')
    with pytest.raises(DataError) as caught:
        files.read_json(path)
    assert str(caught.value) == f"{path}, line 3: not valid JSON"


@pytest.mark.parametrize("content", [None, b'{"a": "\xff"}'], ids=["missing", "not UTF-8"])
def test_json_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        files.read_json(path)
    assert str(caught.value).startswith(f"{path} cannot be read (")
    assert str(caught.value).endswith(")")


@pytest.mark.parametrize("text", ["[1]", "3", "null", '"a"'])
def test_json_that_is_no_object_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"^{path}: expected a JSON object$"):
        files.read_json(path)


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.zeros(0, np.float32)}
    arrays["turned"] = arrays["a"].T
    files.write_arrays(tmp_path / "x.safetensors", arrays)
    back = files.read_arrays(tmp_path / "x.safetensors")
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array)


@pytest.mark.parametrize("content", [None, b"", b"not an array at all, but a text of some length"])
def test_arrays_that_cannot_be_read_are_named(tmp_path, content):
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        files.read_arrays(path)
    assert str(caught.value).startswith(f"{path} cannot be read (")
    assert str(caught.value).endswith(")")


MAPPED = {
    "matrix": np.arange(6, dtype=np.int32).reshape(2, 3),
    "turned": np.arange(6, dtype=np.int32).reshape(2, 3).T,
    "every other": np.arange(9)[::2],
    "none": np.zeros((0, 4), np.int32),
    "floats": np.array([0.5, np.nan], np.float32),
}


@pytest.mark.parametrize("array", MAPPED.values(), ids=MAPPED)
def test_mapped_array_comes_back_as_it_was(tmp_path, array):
    files.write_mapped(tmp_path / "deep" / "x.npy", array)
    back = files.read_mapped(tmp_path / "deep" / "x.npy")
    assert isinstance(back, np.memmap)
    assert back.dtype == array.dtype
    assert np.array_equal(back, array, equal_nan=array.dtype.kind == "f")
    assert names(tmp_path) == ["deep/x.npy"]


def test_same_array_is_written_in_the_same_bytes_however_it_lies_in_memory(tmp_path):
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    for name, same in {"a": array, "b": np.asfortranarray(array)}.items():
        files.write_mapped(tmp_path / name, same)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_array_is_written_without_a_second_one_of_its_size(tmp_path):
    array = np.zeros(2**24, np.int32)
    tracemalloc.start()
    try:
        files.write_mapped(tmp_path / "x.npy", array)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < array.nbytes * 0.6
    assert (tmp_path / "x.npy").stat().st_size == array.nbytes + 128


def test_disk_that_takes_half_an_array_is_told_with_its_name(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            files.write_mapped(tmp_path / "x.npy", np.zeros(50_000, np.int32))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (caught.value.filename, caught.value.errno) == (str(tmp_path / "x.npy"), errno.EFBIG)
    assert names(tmp_path) == []


def test_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        files.write_mapped(tmp_path / "x.npy", np.array([{}], dtype=object))
    assert names(tmp_path) == []


def test_change_of_a_mapped_array_is_not_written(tmp_path):
    files.write_mapped(tmp_path / "x.npy", np.zeros(3, np.int32))
    files.read_mapped(tmp_path / "x.npy")[:] = 7
    assert files.read_mapped(tmp_path / "x.npy").tolist() == [0, 0, 0]


def test_of_a_mapped_array_nothing_is_read_that_is_not_looked_at(tmp_path):
    files.write_mapped(tmp_path / "x.npy", np.arange(2**21, dtype=np.int32))
    tracemalloc.start()
    try:
        array = files.read_mapped(tmp_path / "x.npy")
        assert array[123_456] == 123_456
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < array.nbytes / 50


def header(text, version=(1, 0)):
    """Return how a file in NumPy's format begins whose header is this text."""
    raw = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(raw)) + raw


def of(descr="'<i4'", shape="(2,)"):
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", of() + bytes(8))
    return buffer.getvalue()


def pickled():
    buffer = io.BytesIO()
    np.save(buffer, np.array([{1: 2}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


# As they are read by `np.load`, some of these are opened, and some fail with other errors.
NO_ARRAYS = {
    "nothing": b"",
    "a text": b"not an array at all, but a text of some length",
    "half of the name": b"\x93NUM",
    "no header": b"\x93NUMPY\x01\x00",
    "half a header": of()[:40],
    "another version": header("{}", version=(9, 0)) + bytes(8),
    "an archive": zipped(),
    "half an archive": zipped()[:30],
    "objects": pickled(),
    "a pickle": b"\x80\x04K\x01.",
    "half of its numbers": of() + bytes(4),
    "less than none": of(shape="(-1,)") + bytes(8),
    "more than there can be": of(shape=f"({2**70},)") + bytes(8),
    "more bytes than can be counted": of(shape=f"({2**62},)") + bytes(8),
    "more rows than can be counted": of(shape=f"({2**33}, {2**33})") + bytes(8),
    "no dict": header("7"),
    "no keys": header("{[]: 1}"),
    "a bracket that is not closed": header("(" * 50),
    "brackets without end": header("(" * 5_000),
    "signs without end": header("-" * 9_000 + "1"),
    "a text that is not closed": header("{'a': '''"),
    "no type": of(descr="('<i4',)") + bytes(8),
    "another type": of(descr="'f8,,'") + bytes(8),
    "a field without a type": of(descr="[('a',)]") + bytes(8),
    "objects that are not there": of(descr="'|O'") + bytes(8),
}


@pytest.mark.parametrize("content", NO_ARRAYS.values(), ids=NO_ARRAYS)
@pytest.mark.filterwarnings("error")
def test_what_is_no_array_to_map_is_named(tmp_path, content):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        files.read_mapped(path)
    assert str(caught.value).startswith(f"{path} cannot be read (")


@pytest.mark.parametrize("place", ["nowhere.npy", ""], ids=["missing", "a folder"])
def test_array_that_is_not_there_is_named(tmp_path, place):
    with pytest.raises(DataError, match=rf"^{tmp_path / place} cannot be read \("):
        files.read_mapped(tmp_path / place)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.integers(0, 127) | st.integers(6, 90),
    new=st.binary(max_size=3),
    gone=st.integers(0, 3),
)
def test_damaged_array_is_an_array_of_plain_values_or_refused(tmp_path, place, new, gone):
    content = bytearray(of() + bytes(8))
    content[place : place + gone] = new
    (tmp_path / "x.npy").write_bytes(content)
    try:
        array = files.read_mapped(tmp_path / "x.npy")
    except DataError:
        return
    assert isinstance(array, np.memmap)
    assert not array.dtype.hasobject
    assert array.nbytes <= len(content)
