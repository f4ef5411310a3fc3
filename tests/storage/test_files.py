import errno
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from unroll.data import files
from unroll.errors import DataError

REMEDY = "run: dvc repro prepare@sums"


@pytest.fixture
def folder(tmp_path):
    target = tmp_path / "made"
    with files.new_folder(target) as new:
        files.write_text(new / "a.txt", "first\n")
        files.write_text(new / "deep" / "b.txt", "second\n")
    return target


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
    assert files.read_json(tmp_path / "a.json", REMEDY) == {"z": 1, "a": ["ö", None]}


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError) as caught:
        files.read_text(tmp_path / "a.txt")
    assert str(caught.value) == f"{tmp_path / 'a.txt'} cannot be read: No such file or directory"
    assert caught.value.exit_code == 1


def test_folder_in_place_of_a_file_is_named(tmp_path):
    with pytest.raises(DataError, match=f"^{tmp_path} cannot be read: Is a directory"):
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


def test_json_of_the_largest_size_is_read_and_a_larger_one_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_JSON", 8)
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert files.read_json(path, REMEDY) == {"a": 1}
    path.write_text('{"a": 10}')
    with pytest.raises(DataError) as caught:
        files.read_json(path, REMEDY)
    assert str(caught.value) == f"{path} has more than 8 bytes; {REMEDY}"


@pytest.mark.parametrize("read", [files.read_text, lambda path: files.read_json(path, REMEDY)])
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


def test_broken_json_is_named_with_file_line_and_remedy(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{\n "a": 1,\n oops\n}')
    with pytest.raises(DataError) as caught:
        files.read_json(path, REMEDY)
    assert str(caught.value) == f"{path}, line 3: not valid JSON; {REMEDY}"


@pytest.mark.parametrize("content", [None, b'{"a": "\xff"}'], ids=["missing", "not UTF-8"])
def test_json_that_cannot_be_read_is_named_with_remedy(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        files.read_json(path, REMEDY)
    assert str(caught.value).startswith(f"{path} cannot be read (")
    assert str(caught.value).endswith(f"); {REMEDY}")


@pytest.mark.parametrize("text", ["[1]", "3", "null", '"a"'])
def test_json_that_is_no_object_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"^{path}: expected a JSON object; {REMEDY}$"):
        files.read_json(path, REMEDY)


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_new_folder_has_a_manifest_of_all_its_files(folder):
    assert names(folder) == ["a.txt", "deep/b.txt", "manifest.json"]
    assert json.loads((folder / "manifest.json").read_text()) == {
        "a.txt": {"bytes": 6, "sha256": hashlib.sha256(b"first\n").hexdigest()},
        "deep/b.txt": {"bytes": 7, "sha256": hashlib.sha256(b"second\n").hexdigest()},
    }
    files.check_folder(folder, REMEDY)


def test_new_folder_takes_the_place_of_the_earlier_one(folder):
    with files.new_folder(folder) as new:
        files.write_text(new / "c.txt", "third\n")
        assert names(folder) == ["a.txt", "deep/b.txt", "manifest.json"]
    assert names(folder.parent) == ["made/c.txt", "made/manifest.json"]


@pytest.mark.parametrize("make", [files.new_folder, files.replaced_folder])
def test_failed_folder_leaves_the_earlier_one_as_it_was(folder, make):
    before = files.digest(folder)
    with pytest.raises(RuntimeError, match="half way"), make(folder) as new:
        files.write_text(new / "a.txt", "other\n")
        raise RuntimeError("half way")
    files.check_folder(folder, REMEDY)
    assert files.digest(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["made"]


def test_killed_process_leaves_the_earlier_folder_as_it_was(folder):
    before = files.digest(folder)
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from unroll.storage.files import new_folder, write_text\n"
        "with new_folder(Path(sys.argv[1])) as new:\n"
        "    write_text(new / 'a.txt', 'other')\n"
        "    print('half way', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "half way\n"
        process.kill()
    files.check_folder(folder, REMEDY)
    assert files.digest(folder) == before


@pytest.fixture
def nameless(folder):
    """Return a folder whose process was killed when it had taken its name, but not yet given it."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from unroll.storage.files import new_folder, write_text\n"
        "with new_folder(Path(sys.argv[1])) as new:\n"
        "    write_text(new / 'a.txt', 'other')\n"
        "    rename = Path.rename\n"
        "    Path.rename = lambda *paths: (rename(*paths), os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)])
    assert done.returncode == -signal.SIGKILL
    left = sorted(path.name.split(".")[-1] for path in folder.parent.iterdir())
    assert left == ["earlier", "unfinished"]
    return folder


@pytest.mark.parametrize("make", [files.new_folder, files.replaced_folder])
def test_folder_that_lost_its_name_has_it_again_when_the_next_one_fails(nameless, make):
    with pytest.raises(RuntimeError, match="half way"), make(nameless) as new:
        files.write_text(new / "a.txt", "third\n")
        raise RuntimeError("half way")
    files.check_folder(nameless, REMEDY)
    assert names(nameless.parent) == ["made/a.txt", "made/deep/b.txt", "made/manifest.json"]
    assert (nameless / "a.txt").read_text() == "first\n"


def test_folder_that_lost_its_name_is_replaced_by_the_next_one(nameless):
    with files.new_folder(nameless) as new:
        files.check_folder(nameless, REMEDY)  # until then it is there again
        files.write_text(new / "c.txt", "third\n")
    assert names(nameless.parent) == ["made/c.txt", "made/manifest.json"]


def test_folder_that_lost_its_name_to_a_living_process_is_left_to_it(folder):
    left = folder.with_name(f".made.{os.getppid()}.earlier")
    folder.rename(left)
    files.sweep(folder)
    assert [path.name for path in folder.parent.iterdir()] == [left.name]


def test_what_belongs_to_a_longer_name_is_left(folder):
    nobody = 2**22 + 1  # no process has such a number
    longer = [
        folder.with_name(f".made.{more}.{nobody}.unfinished") for more in ("b", "1", "earlier")
    ]
    for path in longer:
        path.touch()
    longer_folder = folder.with_name(f".made.b.{nobody}.earlier")
    folder.rename(longer_folder)
    files.sweep(folder)
    assert sorted(folder.parent.iterdir()) == sorted([*longer, longer_folder])


def test_name_of_a_new_folder_is_brought_to_the_disk(tmp_path, synced):
    with files.replaced_folder(tmp_path / "made") as new:
        files.write_text(new / "a.txt", "first\n")
    assert synced[-1] == (tmp_path.stat().st_ino, ["made"])


@pytest.mark.parametrize("make", [files.new_folder, files.replaced_folder])
def test_folder_is_not_there_until_all_is_written(tmp_path, make):
    with make(tmp_path / "deep" / "made") as new:
        files.write_text(new / "a.txt", "first\n")
        assert not (tmp_path / "deep" / "made").exists()
    assert (tmp_path / "deep" / "made" / "a.txt").read_text() == "first\n"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["made"]


def test_replaced_folder_has_its_files_alone_and_no_manifest(folder):
    with files.replaced_folder(folder) as new:
        files.write_text(new / "deep" / "c.txt", "third\n")
        files.check_folder(folder, REMEDY)
    assert names(folder.parent) == ["made/deep/c.txt"]


def test_failed_first_folder_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), files.replaced_folder(tmp_path / "made") as new:
        files.write_text(new / "a.txt", "first\n")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_file_in_the_way_of_a_folder_is_left_as_it_was(tmp_path):
    (tmp_path / "made").write_text("a file")
    with pytest.raises(NotADirectoryError), files.replaced_folder(tmp_path / "made") as new:
        files.write_text(new / "a.txt", "first\n")
    assert (tmp_path / "made").read_text() == "a file"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_others_may_read_a_new_folder(folder):
    assert folder.stat().st_mode & 0o777 == 0o755


def test_digest_depends_on_names_and_content_alone(tmp_path):
    def digest(name, content):
        with files.new_folder(tmp_path / "x") as new:
            files.write_text(new / name, content)
        return files.digest(tmp_path / "x")

    assert digest("a", "1") == digest("a", "1")
    assert len({digest("a", "1"), digest("a", "2"), digest("b", "1")}) == 3


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: flip_a_byte(f / "a.txt"), "/a.txt is damaged (its SHA-256 is not that of "),
        (lambda f: (f / "a.txt").write_text("fir"), "/a.txt is damaged (its SHA-256 is not that"),
        (lambda f: (f / "deep" / "b.txt").unlink(), "/deep/b.txt is missing; "),
        (lambda f: (f / "manifest.json").unlink(), " is missing or incomplete; "),
        (lambda f: (f / "manifest.json").write_text("{"), "/manifest.json, line 1: not valid JSON"),
        (lambda f: f.rename(f.with_name("away")), " is missing or incomplete; "),
    ],
    ids=["changed byte", "cut off", "file gone", "manifest gone", "half a manifest", "folder gone"],
)
def test_damaged_folder_is_named_with_file_and_remedy(folder, harm, message):
    harm(folder)
    with pytest.raises(DataError) as caught:
        files.check_folder(folder, REMEDY)
    assert str(caught.value).startswith(f"{folder}{message}")
    assert str(caught.value).endswith(REMEDY)


@pytest.mark.parametrize(
    "manifest",
    [
        {"a.txt": 6},
        {"a.txt": None},
        {"a.txt": "bytes sha256"},
        {"a.txt": ["bytes", "sha256"]},
        {"a.txt": {}},
        {"a.txt": {"bytes": 6}},
        {"a.txt": {"sha256": "0" * 64}},
        {"gone.txt": 6},
    ],
    ids=str,
)
def test_manifest_of_another_shape_is_named_with_remedy(folder, manifest):
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError) as caught:
        files.check_folder(folder, REMEDY)
    assert str(caught.value) == f"{folder}/manifest.json is no manifest; {REMEDY}"


@pytest.mark.parametrize(
    "name",
    ["../x.txt", "deep/../../x.txt", "{there}/x.txt", "a" * 300, "ö" * 200, "deep/" + "a" * 300],
    ids=["above", "above by a way", "absolute", "long", "long in UTF-8", "long within"],
)
def test_manifest_that_names_files_elsewhere_is_no_manifest(folder, name):
    there = folder.parent
    (there / "x.txt").write_text("first\n")  # with the right content
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[name.replace("{there}", str(there))] = manifest["a.txt"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError) as caught:
        files.check_folder(folder, REMEDY)
    assert str(caught.value) == f"{folder}/manifest.json is no manifest; {REMEDY}"


@pytest.mark.parametrize("name", ["more.txt", "deep/more.txt", "deep/manifest.json"])
def test_file_that_does_not_stand_in_the_manifest_is_refused_by_name(folder, name):
    (folder / name).write_text("made by hand")
    with pytest.raises(DataError) as caught:
        files.check_folder(folder, REMEDY)
    assert str(caught.value) == f"{folder / name} does not stand in manifest.json; {REMEDY}"


@pytest.mark.parametrize("name", [".DS_Store", "deep/.DS_Store", "deep/.b.txt.swp"])
def test_hidden_file_that_a_desktop_or_an_editor_left_is_let_be(folder, name):
    (folder / name).write_text("left")
    files.check_folder(folder, REMEDY)


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.zeros(0, np.float32)}
    arrays["turned"] = arrays["a"].T
    files.write_arrays(tmp_path / "x.safetensors", arrays)
    back = files.read_arrays(tmp_path / "x.safetensors", REMEDY)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array)


@pytest.mark.parametrize("content", [None, b"", b"not an array at all, but a text of some length"])
def test_arrays_that_cannot_be_read_are_named_with_remedy(tmp_path, content):
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        files.read_arrays(path, REMEDY)
    assert str(caught.value).startswith(f"{path} cannot be read (")
    assert str(caught.value).endswith(REMEDY)
