"""What is kept of the working copy: its commit, and a diff that makes the one from the other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unroll.runs import snapshot
from unroll.runs.circumstances import Source
from unroll.runs.snapshot import look, refusal
from unroll.storage.files import write_text

CODE = "first = 1\nsecond = 2\n"
DIGEST = "ab" * 32


def git(*arguments: str, folder: Path | None = None) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True)
    return done.stdout.decode(errors="surrogateescape")


@pytest.fixture(autouse=True)
def no_dvc(monkeypatch):
    for name in [n for n in os.environ if n.startswith(("DVC_", "GIT_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Return a folder without git."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def checkout(nowhere):
    """Return a git checkout with a file and a commit."""
    git("init", "--quiet")
    git("config", "user.name", "test")
    git("config", "user.email", "test@example.org")
    git("config", "core.autocrlf", "false")
    write_text(nowhere / "src" / "code.py", CODE)
    write_text(nowhere / "dvc.lock", "schema: '2.0'\n")
    write_text(nowhere / "pipeline" / "quick" / "dvc.lock", "schema: '2.0'\n")
    write_text(nowhere / "reports" / "metrics.json", "{}\n")
    write_text(nowhere / ".gitignore", "/data\n")
    git("add", "--all")
    git("commit", "--quiet", "--message", "start")
    return nowhere


def contents(folder: Path) -> dict[str, bytes]:
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", folder=folder)
    names = [name for name in listed.split("\0") if name and (folder / name).is_file()]
    return {name: (folder / name).read_bytes() for name in names}


def applied(diff: bytes, folder: Path, target: Path, *options: str) -> dict[str, bytes]:
    """Return the files of a clean checkout of `folder` after the diff."""
    git("clone", "--quiet", "--config", "core.autocrlf=false", str(folder), str(target))
    done = subprocess.run(
        ["git", "apply", *options, "-"], cwd=target, input=diff, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return contents(target)


def test_the_command_and_the_place_in_dvc_are_noted(nowhere, monkeypatch):
    assert look("unroll train v", DIGEST)[0] == Source(
        command="unroll train v",
        stage=None,
        experiment=None,
        commit=None,
        folder="",
        dirty=False,
        sources=[DIGEST],
    )
    monkeypatch.setenv("DVC_STAGE", "train@v")
    monkeypatch.setenv("DVC_EXP_NAME", "wide-area")
    source, _ = look("unroll train v", DIGEST)
    assert (source.stage, source.experiment) == ("train@v", "wide-area")


def test_without_a_checkout_there_is_no_commit(nowhere):
    (nowhere / "code.py").write_text(CODE)
    source, diff = look("unroll train v", DIGEST)
    assert (source.commit, source.dirty, diff) == (None, False, b"")


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))
    source, diff = look("unroll train v", DIGEST)
    assert (source.commit, source.dirty, diff) == (None, False, b"")


def test_before_the_first_commit_there_is_no_commit(nowhere):
    git("init", "--quiet")
    (nowhere / "code.py").write_text(CODE)
    source, diff = look("unroll train v", DIGEST)
    assert (source.commit, source.dirty, diff) == (None, False, b"")


def test_a_clean_checkout_has_its_commit_and_no_diff(checkout):
    source, diff = look("unroll train v", DIGEST)
    assert source.commit == git("rev-parse", "HEAD").strip()
    assert (source.dirty, diff) == (False, b"")


def edit(folder: Path) -> None:
    (folder / "src" / "code.py").write_text(CODE.replace("2", "3"))


def stage_an_edit(folder: Path) -> None:
    edit(folder)
    git("add", "--all")


def delete(folder: Path) -> None:
    (folder / "src" / "code.py").unlink()


def add(folder: Path) -> None:
    write_text(folder / "src" / "new" / "more.py", "third = 3\n")


def add_odd_names(folder: Path) -> None:
    for name in ("two words.py", "größe.py", 'a "quote".py', "-flag.py", "☑.txt"):
        write_text(folder / "src" / name, f"{name}\n")


def add_unusual_texts(folder: Path) -> None:
    (folder / "src" / "empty.py").write_bytes(b"")
    (folder / "src" / "no end.py").write_bytes(b"no line end")
    (folder / "src" / "windows.py").write_bytes(b"one\r\ntwo\r\n")


def add_a_program(folder: Path) -> None:
    write_text(folder / "run.sh", "#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)


def all_at_once(folder: Path) -> None:
    edit(folder)
    add(folder)
    add_odd_names(folder)


CHANGES = [edit, stage_an_edit, delete, add, add_odd_names, add_unusual_texts, add_a_program]


@pytest.mark.parametrize("change", [*CHANGES, all_at_once])
def test_the_diff_makes_the_working_copy_from_a_clean_checkout(checkout, tmp_path_factory, change):
    change(checkout)
    expected = contents(checkout)
    source, diff = look("unroll train v", DIGEST)
    assert source.dirty
    assert source.commit == git("rev-parse", "HEAD").strip()
    assert applied(diff, checkout, tmp_path_factory.mktemp("clean") / "copy") == expected
    assert contents(checkout) == expected


def test_the_diff_holds_a_new_file_that_is_not_text(checkout, tmp_path_factory):
    (checkout / "src" / "table.bin").write_bytes(bytes(range(256)))
    expected = contents(checkout)
    _, diff = look("unroll train v", DIGEST)
    assert applied(diff, checkout, tmp_path_factory.mktemp("clean") / "copy") == expected


def test_the_diff_holds_a_text_that_is_not_utf8(checkout, tmp_path_factory):
    (checkout / "src" / "code.py").write_bytes("größe = 1\n".encode("latin-1"))
    expected = contents(checkout)
    _, diff = look("unroll train v", DIGEST)
    assert applied(diff, checkout, tmp_path_factory.mktemp("clean") / "copy") == expected


@pytest.mark.skipif(sys.platform != "linux", reason="file names must be UTF-8")
def test_the_diff_holds_a_file_whose_name_is_not_utf8(checkout, tmp_path_factory):
    (checkout / "src" / os.fsdecode(b"gr\xf6\xdfe.py")).write_bytes(b"x = 1\n")
    expected = contents(checkout)
    _, diff = look("unroll train v", DIGEST)
    assert applied(diff, checkout, tmp_path_factory.mktemp("clean") / "copy") == expected


@pytest.mark.parametrize(
    "setting",
    [
        "diff.noprefix=true",
        "diff.mnemonicPrefix=true",
        "diff.srcPrefix=before/",
        "diff.dstPrefix=after/",
        "diff.external=echo",
        "diff.renames=copies",
        "color.ui=always",
        "color.diff=always",
    ],
)
def test_the_settings_of_the_user_do_not_spoil_the_diff(checkout, tmp_path_factory, setting):
    git("config", *setting.split("="))
    all_at_once(checkout)
    expected = contents(checkout)
    _, diff = look("unroll train v", DIGEST)
    assert applied(diff, checkout, tmp_path_factory.mktemp("clean") / "copy") == expected


@pytest.mark.parametrize("driver", ["textconv", "command"])
def test_a_driver_for_reading_diffs_does_not_spoil_the_diff(checkout, tmp_path_factory, driver):
    write_text(checkout / ".git" / "info" / "attributes", "*.py diff=loud\n")
    git("config", f"diff.loud.{driver}", "echo LOUD")
    all_at_once(checkout)
    expected = contents(checkout)
    assert b"LOUD" in git("diff", "HEAD").encode()
    _, diff = look("unroll train v", DIGEST)
    assert applied(diff, checkout, tmp_path_factory.mktemp("clean") / "copy") == expected


@pytest.fixture
def larger(checkout, monkeypatch):
    """Return a git checkout in whose folder `a project` is the project that we work in."""
    project = checkout / "a project"
    write_text(project / "src" / "code.py", CODE)
    write_text(project / "reports" / "metrics.json", "{}\n")
    git("add", "--all")
    git("commit", "--quiet", "--message", "project")
    monkeypatch.chdir(project)
    return checkout


@pytest.mark.parametrize("change", [*CHANGES, all_at_once])
def test_the_diff_of_a_project_within_a_larger_repository_can_be_applied(
    larger, tmp_path_factory, change
):
    change(larger / "a project")
    expected = contents(larger)
    source, diff = look("unroll train v", DIGEST)
    assert source.dirty
    target = tmp_path_factory.mktemp("clean") / "copy"
    assert applied(diff, larger, target, "--directory=a project") == expected


def test_the_folder_of_a_project_within_a_larger_repository_is_noted(larger):
    assert look("unroll train v", DIGEST)[0].folder == "a project/"


def test_what_changes_around_the_project_is_no_change(larger):
    edit(larger)
    add(larger)
    write_text(larger / "a project" / "reports" / "metrics.json", "changed")
    source, diff = look("unroll train v", DIGEST)
    assert (source.dirty, diff) == (False, b"")


def test_what_runs_leave_is_no_change(checkout):
    (checkout / "dvc.lock").write_text("changed")
    (checkout / "pipeline" / "quick" / "dvc.lock").write_text("changed")
    (checkout / "reports" / "metrics.json").write_text("changed")
    write_text(checkout / "reports" / "curves" / "new.csv", "new")
    write_text(checkout / "pipeline" / "new" / "dvc.lock", "new")
    write_text(checkout / "data" / "models" / "weights", "new")
    source, diff = look("unroll train v", DIGEST)
    assert (source.dirty, diff) == (False, b"")
    edit(checkout)
    _, diff = look("unroll train v", DIGEST)
    assert [line for line in diff.splitlines() if line.startswith(b"diff")] == [
        b"diff --git a/src/code.py b/src/code.py"
    ]


def test_a_report_elsewhere_is_a_change(checkout):
    write_text(checkout / "src" / "reports" / "table.py", "new = 1\n")
    assert b"b/src/reports/table.py\n" in look("unroll train v", DIGEST)[1]


def test_what_is_too_large_for_the_diff_is_left_out_by_name(
    checkout, tmp_path_factory, monkeypatch
):
    edit(checkout)
    expected = contents(checkout)
    (checkout / "src" / "größe.bin").write_bytes(bytes(10_001))
    tracked = checkout / "tracked.bin"
    tracked.write_bytes(b"")
    git("add", "tracked.bin")
    git("commit", "--quiet", "--message", "a file that grows", "tracked.bin")
    tracked.write_bytes(bytes(10_001))
    monkeypatch.setattr(snapshot, "LARGEST_FILE", 10_000)
    source, diff = look("unroll train v", DIGEST)
    assert source.dirty
    assert diff.decode().endswith(
        "[left out, too large: tracked.bin]\n[left out, too large: src/größe.bin]\n"
    )
    made = applied(diff, checkout, tmp_path_factory.mktemp("clean") / "copy")
    assert made == {**expected, "tracked.bin": b""}


def test_a_huge_diff_is_cut_and_says_so(checkout, monkeypatch):
    write_text(checkout / "long.py", "ö = 1\n" * 200)
    _, whole = look("unroll train v", DIGEST)
    assert whole.startswith(b"diff --git a/long.py b/long.py\n")
    monkeypatch.setattr(snapshot, "LARGEST_DIFF", len(whole))
    assert look("unroll train v", DIGEST)[1] == whole
    monkeypatch.setattr(snapshot, "LARGEST_DIFF", 300)
    source, diff = look("unroll train v", DIGEST)
    assert source.dirty
    assert diff == whole[:300] + f"\n[cut: {len(whole):,} bytes in all]\n".encode()


SECRET = [
    ".env",
    "deep/.env.local",
    ".env.d/x",
    "server.key",
    "My.PEM",
    "id_ecdsa",
    "aws_credentials.json",
    "my-secrets.txt",
    "SECRETS/prod.yaml",
    "api_token",
    ".dvc/config",
]


def test_secrets_are_not_in_the_diff(checkout):
    write_text(checkout / ".env", "nothing yet\n")
    git("add", "--force", ".env", folder=checkout)
    git("commit", "--quiet", "--message", "one that is tracked", folder=checkout)
    for name in SECRET:
        write_text(checkout / name, "hush\n")
    write_text(checkout / "src" / "code.py", 'URI = "https://me:hush@host/a"\nB = "x://hush@h"\n')
    write_text(checkout / "kept.txt", "http://host:8080/a plain, mail to me@host\n")
    source, diff = look("unroll train v", DIGEST)
    assert source.dirty
    assert b"hush" not in diff
    assert b"https://***@host/a" in diff
    assert b"http://host:8080/a plain, mail to me@host" in diff


def test_changes_can_be_known_and_not_kept(checkout, monkeypatch):
    write_text(checkout / "src" / "code.py", CODE + "token = 'abc'\n")
    monkeypatch.setenv("UNROLL_KEEP_DIFF", "no")
    source, diff = look("unroll train x", DIGEST)
    assert source.dirty
    assert diff == b""


def test_that_git_refuses_a_checkout_is_told_with_the_way_out(checkout, monkeypatch):
    assert refusal() is None
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as that of another user
    said = refusal()
    assert "dubious ownership" in said
    assert "git config --global --add safe.directory" in said
    assert look("unroll train x", DIGEST)[0].commit is None


def test_where_there_is_no_checkout_nothing_refuses(nowhere):
    assert refusal() is None
