import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest

from unroll.errors import DataError
from unroll.storage import folders
from unroll.storage.files import sweep, write_text


@pytest.fixture
def folder(tmp_path):
    target = tmp_path / "made"
    with folders.new_folder(target) as new:
        write_text(new / "a.txt", "first\n")
        write_text(new / "deep" / "b.txt", "second\n")
    return target


def names(folder):
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())


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


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert folders.sha256(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_new_folder_has_a_manifest_of_all_its_files(folder):
    assert names(folder) == ["a.txt", "deep/b.txt", "manifest.json"]
    assert json.loads((folder / "manifest.json").read_text()) == {
        "a.txt": {"bytes": 6, "sha256": hashlib.sha256(b"first\n").hexdigest()},
        "deep/b.txt": {"bytes": 7, "sha256": hashlib.sha256(b"second\n").hexdigest()},
    }
    folders.check_folder(folder)


def test_new_folder_takes_the_place_of_the_earlier_one(folder):
    with folders.new_folder(folder) as new:
        write_text(new / "c.txt", "third\n")
        assert names(folder) == ["a.txt", "deep/b.txt", "manifest.json"]
    assert names(folder.parent) == ["made/c.txt", "made/manifest.json"]


@pytest.mark.parametrize("make", [folders.new_folder, folders.replaced_folder])
def test_failed_folder_leaves_the_earlier_one_as_it_was(folder, make):
    before = folders.digest(folder)
    with pytest.raises(RuntimeError, match="half way"), make(folder) as new:
        write_text(new / "a.txt", "other\n")
        raise RuntimeError("half way")
    folders.check_folder(folder)
    assert folders.digest(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["made"]


def test_killed_process_leaves_the_earlier_folder_as_it_was(folder):
    before = folders.digest(folder)
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from unroll.storage.files import write_text\n"
        "from unroll.storage.folders import new_folder\n"
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
    folders.check_folder(folder)
    assert folders.digest(folder) == before


@pytest.fixture
def nameless(folder):
    """Return a folder whose process was killed when it had taken its name, but not yet given it."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from unroll.storage.files import write_text\n"
        "from unroll.storage.folders import new_folder\n"
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


@pytest.mark.parametrize("make", [folders.new_folder, folders.replaced_folder])
def test_folder_that_lost_its_name_has_it_again_when_the_next_one_fails(nameless, make):
    with pytest.raises(RuntimeError, match="half way"), make(nameless) as new:
        write_text(new / "a.txt", "third\n")
        raise RuntimeError("half way")
    folders.check_folder(nameless)
    assert names(nameless.parent) == ["made/a.txt", "made/deep/b.txt", "made/manifest.json"]
    assert (nameless / "a.txt").read_text() == "first\n"


def test_folder_that_lost_its_name_is_replaced_by_the_next_one(nameless):
    with folders.new_folder(nameless) as new:
        folders.check_folder(nameless)  # until then it is there again
        write_text(new / "c.txt", "third\n")
    assert names(nameless.parent) == ["made/c.txt", "made/manifest.json"]


def test_folder_that_lost_its_name_to_a_living_process_is_left_to_it(folder):
    left = folder.with_name(f".made.{os.getppid()}.earlier")
    folder.rename(left)
    sweep(folder)
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
    sweep(folder)
    assert sorted(folder.parent.iterdir()) == sorted([*longer, longer_folder])


def test_name_of_a_new_folder_is_brought_to_the_disk(tmp_path, synced):
    with folders.replaced_folder(tmp_path / "made") as new:
        write_text(new / "a.txt", "first\n")
    assert synced[-1] == (tmp_path.stat().st_ino, ["made"])


@pytest.mark.parametrize("make", [folders.new_folder, folders.replaced_folder])
def test_folder_is_not_there_until_all_is_written(tmp_path, make):
    with make(tmp_path / "deep" / "made") as new:
        write_text(new / "a.txt", "first\n")
        assert not (tmp_path / "deep" / "made").exists()
    assert (tmp_path / "deep" / "made" / "a.txt").read_text() == "first\n"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["made"]


def test_replaced_folder_has_its_files_alone_and_no_manifest(folder):
    with folders.replaced_folder(folder) as new:
        write_text(new / "deep" / "c.txt", "third\n")
        folders.check_folder(folder)
    assert names(folder.parent) == ["made/deep/c.txt"]


def test_failed_first_folder_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), folders.replaced_folder(tmp_path / "made") as new:
        write_text(new / "a.txt", "first\n")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_file_in_the_way_of_a_folder_is_left_as_it_was(tmp_path):
    (tmp_path / "made").write_text("a file")
    with pytest.raises(NotADirectoryError), folders.replaced_folder(tmp_path / "made") as new:
        write_text(new / "a.txt", "first\n")
    assert (tmp_path / "made").read_text() == "a file"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_others_may_read_a_new_folder(folder):
    assert folder.stat().st_mode & 0o777 == 0o755


def test_digest_depends_on_names_and_content_alone(tmp_path):
    def digest(name, content):
        with folders.new_folder(tmp_path / "x") as new:
            write_text(new / name, content)
        return folders.digest(tmp_path / "x")

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
        (lambda f: (f / "deep" / "b.txt").unlink(), "/deep/b.txt is missing"),
        (lambda f: (f / "manifest.json").unlink(), " is missing or incomplete"),
        (lambda f: (f / "manifest.json").write_text("{"), "/manifest.json, line 1: not valid JSON"),
        (lambda f: f.rename(f.with_name("away")), " is missing or incomplete"),
    ],
    ids=["changed byte", "cut off", "file gone", "manifest gone", "half a manifest", "folder gone"],
)
def test_damaged_folder_is_named_with_the_file(folder, harm, message):
    harm(folder)
    with pytest.raises(DataError) as caught:
        folders.check_folder(folder)
    assert str(caught.value).startswith(f"{folder}{message}")


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
def test_manifest_of_another_shape_is_named(folder, manifest):
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError) as caught:
        folders.check_folder(folder)
    assert str(caught.value) == f"{folder}/manifest.json is no manifest"


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
        folders.check_folder(folder)
    assert str(caught.value) == f"{folder}/manifest.json is no manifest"


@pytest.mark.parametrize("name", ["more.txt", "deep/more.txt", "deep/manifest.json"])
def test_file_that_does_not_stand_in_the_manifest_is_refused_by_name(folder, name):
    (folder / name).write_text("made by hand")
    with pytest.raises(DataError) as caught:
        folders.check_folder(folder)
    assert str(caught.value) == f"{folder / name} does not stand in manifest.json"


@pytest.mark.parametrize("name", [".DS_Store", "deep/.DS_Store", "deep/.b.txt.swp"])
def test_hidden_file_that_a_desktop_or_an_editor_left_is_let_be(folder, name):
    (folder / name).write_text("left")
    folders.check_folder(folder)
