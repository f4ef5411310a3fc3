import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from models.toys import CPU, DIGITS, pairs_options, subject, task_section
from unroll import circumstances, config
from unroll.runs.circumstances import (
    Recorder,
    Source,
    circumstances_of,
    look_at_source,
    read_circumstances,
)
from unroll.study import Study
from unroll.storage.files import new_folder, write_text
from unroll.errors import DataError
from unroll.runs.record import Record
from unroll.training.checkpoint import Checkpoint
from unroll.training.loop import Epoch, Resumed, Step
from unroll.training.run import Job
from unroll.training.workers import Done, Started

REMEDY = "run: dvc repro train@v"
CODE = "first = 1\nsecond = 2\n"


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


def hear(recorder: Recorder, seed: int, *messages) -> None:
    options = pairs_options(seeds=[4, 7])
    checkpoint = Checkpoint(Path("checkpoints"), seed, "key", every=None)
    job = Job(subject(options), seed, CPU, Path("prepared"), Path("target"), checkpoint, REMEDY)
    for message in messages:
        recorder(job, message)


@pytest.fixture
def recorded(nowhere):
    recorder = Recorder("unroll train v")
    hear(recorder, 7, Started(), Epoch(1, {"train_loss": 2.0}, 11.0, 1.23456, 0.5))
    hear(recorder, 4, Started(), Epoch(1, {"train_loss": 3.0}, 12.0, 2.0, 0.25), Step(2, 1, 9, 2.5))
    hear(recorder, 7, Epoch(2, {"train_loss": 1.0}, 13.0, 1.5, 0.125), Done(123_456_789))
    hear(recorder, 4, Done(50_000_000))
    return recorder


def test_what_is_noted_is_what_is_read(recorded, tmp_path):
    recorded.write(tmp_path / "v")
    found = read_circumstances(tmp_path / "v", REMEDY)
    pd.testing.assert_frame_equal(found.epochs, pd.DataFrame(recorded.epochs), check_exact=True)
    runs = pd.DataFrame(recorded.runs).set_index("seed")
    pd.testing.assert_frame_equal(found.runs, runs, check_exact=True)
    assert (found.source, found.diff) == (recorded.source, recorded.diff)


def test_each_epoch_and_each_run_has_a_row_in_the_order_of_their_ends(recorded, tmp_path):
    recorded.write(tmp_path / "v")
    found = read_circumstances(tmp_path / "v", REMEDY)
    columns = ["seed", "epoch", "train_seconds", "valid_seconds"]
    assert found.epochs[columns].to_numpy().tolist() == [
        [7, 1, 1.235, 0.5],
        [4, 1, 2.0, 0.25],
        [7, 2, 1.5, 0.125],
    ]
    assert found.runs["peak_memory_mb"].to_dict() == {7: 123.5, 4: 50.0}


def test_epochs_before_an_interruption_are_noted_with_their_own_times(nowhere, tmp_path):
    recorder = Recorder("unroll train v")
    before = (Epoch(1, {}, 100.0, 2.0, 0.5), Epoch(2, {}, 200.0, 3.0, 0.5))
    hear(recorder, 7, Started(), Resumed(before, step=9), Epoch(3, {}, 900.0, 1.0, 1.0), Done(1))
    recorder.write(tmp_path / "v")
    found = read_circumstances(tmp_path / "v", REMEDY)
    assert found.epochs["ended"].tolist() == [100.0, 200.0, 900.0]
    assert found.seconds.to_dict() == {7: 8.0}


def test_times_follow_the_clock(nowhere, tmp_path):
    recorder, before = Recorder("unroll train v"), time.time()
    hear(recorder, 7, Started())
    time.sleep(0.02)
    hear(recorder, 7, Epoch(1, {}, time.time(), 1.0, 1.0))
    time.sleep(0.02)
    hear(recorder, 7, Done(1))
    recorder.write(tmp_path / "v")
    found = read_circumstances(tmp_path / "v", REMEDY)
    [started, ended] = found.runs.loc[7, ["started", "ended"]]
    [epoch] = found.epochs["ended"]
    assert before - 0.001 <= started < epoch < ended <= time.time() + 0.001


def test_the_load_is_that_of_the_whole_machine(recorded):
    for row in recorded.epochs:
        assert 0 <= row.cpu_percent <= 100
        assert row.memory_mb > 10


def test_the_command_and_the_place_in_dvc_are_noted(nowhere, monkeypatch):
    assert look_at_source("unroll train v")[0] == Source(
        command="unroll train v", stage=None, experiment=None, commit=None, folder="", dirty=False
    )
    monkeypatch.setenv("DVC_STAGE", "train@v")
    monkeypatch.setenv("DVC_EXP_NAME", "wide-area")
    source, _ = look_at_source("unroll train v")
    assert (source.stage, source.experiment) == ("train@v", "wide-area")


def test_without_a_checkout_there_is_no_commit(nowhere):
    (nowhere / "code.py").write_text(CODE)
    source, diff = look_at_source("unroll train v")
    assert (source.commit, source.dirty, diff) == (None, False, b"")


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))
    source, diff = look_at_source("unroll train v")
    assert (source.commit, source.dirty, diff) == (None, False, b"")


def test_before_the_first_commit_there_is_no_commit(nowhere):
    git("init", "--quiet")
    (nowhere / "code.py").write_text(CODE)
    source, diff = look_at_source("unroll train v")
    assert (source.commit, source.dirty, diff) == (None, False, b"")


def test_a_clean_checkout_has_its_commit_and_no_diff(checkout):
    source, diff = look_at_source("unroll train v")
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
    source, diff = look_at_source("unroll train v")
    assert source.dirty
    assert source.commit == git("rev-parse", "HEAD").strip()
    assert applied(diff, checkout, tmp_path_factory.mktemp("clean") / "copy") == expected
    assert contents(checkout) == expected


def test_the_diff_holds_a_new_file_that_is_not_text(checkout, tmp_path_factory):
    (checkout / "src" / "table.bin").write_bytes(bytes(range(256)))
    expected = contents(checkout)
    _, diff = look_at_source("unroll train v")
    assert applied(diff, checkout, tmp_path_factory.mktemp("clean") / "copy") == expected


def test_the_diff_holds_a_text_that_is_not_utf8(checkout, tmp_path_factory):
    (checkout / "src" / "code.py").write_bytes("größe = 1\n".encode("latin-1"))
    expected = contents(checkout)
    _, diff = look_at_source("unroll train v")
    assert applied(diff, checkout, tmp_path_factory.mktemp("clean") / "copy") == expected


@pytest.mark.skipif(sys.platform != "linux", reason="file names must be UTF-8")
def test_the_diff_holds_a_file_whose_name_is_not_utf8(checkout, tmp_path_factory):
    (checkout / "src" / os.fsdecode(b"gr\xf6\xdfe.py")).write_bytes(b"x = 1\n")
    expected = contents(checkout)
    _, diff = look_at_source("unroll train v")
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
    _, diff = look_at_source("unroll train v")
    assert applied(diff, checkout, tmp_path_factory.mktemp("clean") / "copy") == expected


@pytest.mark.parametrize("driver", ["textconv", "command"])
def test_a_driver_for_reading_diffs_does_not_spoil_the_diff(checkout, tmp_path_factory, driver):
    write_text(checkout / ".git" / "info" / "attributes", "*.py diff=loud\n")
    git("config", f"diff.loud.{driver}", "echo LOUD")
    all_at_once(checkout)
    expected = contents(checkout)
    assert b"LOUD" in git("diff", "HEAD").encode()
    _, diff = look_at_source("unroll train v")
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
    source, diff = look_at_source("unroll train v")
    assert source.dirty
    target = tmp_path_factory.mktemp("clean") / "copy"
    assert applied(diff, larger, target, "--directory=a project") == expected


def test_what_changes_around_the_project_is_no_change(larger):
    edit(larger)
    add(larger)
    write_text(larger / "a project" / "reports" / "metrics.json", "changed")
    source, diff = look_at_source("unroll train v")
    assert (source.dirty, diff) == (False, b"")


def test_what_runs_leave_is_no_change(checkout):
    (checkout / "dvc.lock").write_text("changed")
    (checkout / "pipeline" / "quick" / "dvc.lock").write_text("changed")
    (checkout / "reports" / "metrics.json").write_text("changed")
    write_text(checkout / "reports" / "curves" / "new.csv", "new")
    write_text(checkout / "pipeline" / "new" / "dvc.lock", "new")
    write_text(checkout / "data" / "models" / "weights", "new")
    source, diff = look_at_source("unroll train v")
    assert (source.dirty, diff) == (False, b"")
    edit(checkout)
    _, diff = look_at_source("unroll train v")
    assert [line for line in diff.splitlines() if line.startswith(b"diff")] == [
        b"diff --git a/src/code.py b/src/code.py"
    ]


def test_a_report_elsewhere_is_a_change(checkout):
    write_text(checkout / "src" / "reports" / "table.py", "new = 1\n")
    assert b"b/src/reports/table.py\n" in look_at_source("unroll train v")[1]


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
    monkeypatch.setattr(circumstances, "LARGEST_FILE", 10_000)
    source, diff = look_at_source("unroll train v")
    assert source.dirty
    assert diff.decode().endswith(
        "[left out, too large: tracked.bin]\n[left out, too large: src/größe.bin]\n"
    )
    made = applied(diff, checkout, tmp_path_factory.mktemp("clean") / "copy")
    assert made == {**expected, "tracked.bin": b""}


def test_a_huge_diff_is_cut_and_says_so(checkout, monkeypatch):
    write_text(checkout / "long.py", "ö = 1\n" * 200)
    _, whole = look_at_source("unroll train v")
    assert whole.startswith(b"diff --git a/long.py b/long.py\n")
    monkeypatch.setattr(circumstances, "LARGEST_DIFF", len(whole))
    assert look_at_source("unroll train v")[1] == whole
    monkeypatch.setattr(circumstances, "LARGEST_DIFF", 300)
    source, diff = look_at_source("unroll train v")
    assert source.dirty
    assert diff == whole[:300] + f"\n[cut: {len(whole):,} bytes in all]\n".encode()


@pytest.mark.parametrize("change", [*CHANGES, all_at_once])
def test_the_diff_is_read_as_it_was_noted(checkout, tmp_path_factory, change):
    change(checkout)
    recorder, folder = Recorder("unroll train v"), tmp_path_factory.mktemp("noted") / "v"
    hear(recorder, 7, Started(), Epoch(1, {}, time.time(), 1.0, 1.0), Done(1))
    recorder.write(folder)
    assert read_circumstances(folder, REMEDY).diff == recorder.diff


@pytest.mark.parametrize("commit", ["", "abc", "A" * 40, "main"])
def test_a_commit_is_forty_hexadecimal_digits_or_more(commit):
    with pytest.raises(ValidationError):
        Source(command="unroll", stage=None, experiment=None, commit=commit, folder="", dirty=False)


FILES = ["epochs.csv", "runs.csv", "source.json", "uncommitted.diff"]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_damaged_file_is_refused_by_name(recorded, tmp_path, name):
    recorded.write(tmp_path / "v")
    with (tmp_path / "v" / name).open("a") as file:
        file.write("7")
    with pytest.raises(DataError, match=rf"{name} is damaged.*{REMEDY}$"):
        read_circumstances(tmp_path / "v", REMEDY)
    (tmp_path / "v" / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing; {REMEDY}$"):
        read_circumstances(tmp_path / "v", REMEDY)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=rf"v is missing or incomplete; {REMEDY}$"):
        read_circumstances(tmp_path / "v", REMEDY)


def altered(recorder: Recorder, tmp_path: Path, name: str, content: bytes | None) -> Path:
    """Return a folder with a right manifest in which a file is another, or none."""
    recorder.write(tmp_path / "v")
    with new_folder(tmp_path / "altered") as new:
        ignored = shutil.ignore_patterns("manifest.json", name)
        shutil.copytree(tmp_path / "v", new, dirs_exist_ok=True, ignore=ignored)
        if content is not None:
            (new / name).write_bytes(content)
    return tmp_path / "altered"


@pytest.mark.parametrize("name", FILES)
def test_a_folder_that_never_had_a_file_is_refused(recorded, tmp_path, name):
    folder = altered(recorded, tmp_path, name, None)
    with pytest.raises(DataError, match=rf"^.*altered.* cannot be read \(.*{name}.*\); {REMEDY}$"):
        read_circumstances(folder, REMEDY)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("source.json", b"{}"),
        ("source.json", b"[]"),
        ("source.json", b"{"),
        (
            "source.json",
            b'{"command": 3, "stage": null, "experiment": null, "commit": null, "dirty": false}',
        ),
        ("epochs.csv", b""),
        ("epochs.csv", b"seed,epoch\n1,2\n1,2,3,4\n"),
        ("epochs.csv", b"seed,seconds\n0,1.5\n"),
        ("runs.csv", b""),
        ("runs.csv", b"run,started\n1,2\n"),
        ("runs.csv", b"\xff\xfe\n1,2\n"),
        ("runs.csv", b"seed,started,ended,peak_memory_mb\n0,1,2,much\n"),
        ("runs.csv", b"seed,started,ended,peak_memory_mb\n0,1,2,\n"),
        ("runs.csv", b"seed,started,ended,peak_memory_mb\n0.5,1,2,3\n"),
        ("runs.csv", b"seed,started,ended,peak_memory_mb\n0,1,2,3\n0,1,2,3\n"),
        ("runs.csv", b"seed,started,ended,peak_memory_mb\n0,1,2,3,4\n"),
    ],
)
def test_a_file_of_another_form_is_refused(recorded, tmp_path, name, content):
    folder = altered(recorded, tmp_path, name, content)
    with pytest.raises(DataError, match=rf"^.*altered.*; {REMEDY}$"):
        read_circumstances(folder, REMEDY)


def without_a_column(header: list[str]) -> list[str]:
    return header[:-1]


def with_another_column(header: list[str]) -> list[str]:
    return [*header, "more"]


def with_a_column_renamed(header: list[str]) -> list[str]:
    return [*header[:-1], "memory_gb"]


def with_columns_swapped(header: list[str]) -> list[str]:
    return [header[1], header[0], *header[2:]]


@pytest.mark.parametrize("name", ["epochs.csv", "runs.csv"])
@pytest.mark.parametrize(
    "change",
    [without_a_column, with_another_column, with_a_column_renamed, with_columns_swapped],
)
def test_a_table_with_other_columns_is_refused_with_their_names(recorded, tmp_path, name, change):
    recorded.write(tmp_path / "v")
    header = change((tmp_path / "v" / name).read_text().splitlines()[0].split(","))
    row = ",".join("7" for _ in header)
    folder = altered(recorded, tmp_path, name, f"{','.join(header)}\n{row}\n".encode())
    with pytest.raises(DataError) as caught:
        read_circumstances(folder, REMEDY)
    assert str(caught.value) == (f"{folder / name} has the columns {', '.join(header)}; {REMEDY}")


@pytest.mark.parametrize("diff", [b"", b"\xff\xfe", b"one\r\ntwo\rthree\n", bytes(range(256))])
def test_a_diff_is_read_in_its_own_bytes(recorded, tmp_path, diff):
    folder = altered(recorded, tmp_path, "uncommitted.diff", diff)
    assert read_circumstances(folder, REMEDY).diff == diff


def test_an_earlier_folder_is_replaced(recorded, tmp_path):
    write_text(tmp_path / "v" / "old.csv", "old")
    recorded.write(tmp_path / "v")
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == sorted(
        [*FILES, "manifest.json"]
    )


VARIANTS = "{v: {task: sums, seeds: [4, 7]}}"


@pytest.fixture
def study(nowhere) -> Study:
    write_text(nowhere / "params.yaml", f"tasks:\n{task_section('sums', 8)}variants: {VARIANTS}\n")
    return study.load()


def trained(epochs: dict[int, int]) -> list[Record]:
    """Return the records of a training of so many epochs, by seed."""
    about = subject(pairs_options(seeds=[4, 7]))
    histories = {seed: pd.DataFrame({"epoch": range(1, n + 1)}) for seed, n in epochs.items()}
    return [Record(about, seed, 12, {}, DIGITS, history) for seed, history in histories.items()]


def test_circumstances_of_the_training_that_left_the_models_are_taken(recorded, study):
    recorded.write(study.circumstances("v"))
    found = circumstances_of(study, "v", trained({4: 1, 7: 2}))
    assert found.seconds.to_dict() == pytest.approx({4: 2.25, 7: 3.36})
    assert found.source == recorded.source


@pytest.mark.parametrize(
    "epochs",
    [
        {4: 1, 7: 3},
        {4: 1, 7: 1},
        {4: 2, 7: 1},
        {7: 2},
        {4: 1},
        {4: 1, 7: 2, 9: 1},
        {5: 1, 7: 2},
        {},
    ],
    ids=str,
)
def test_circumstances_of_another_training_are_refused_with_remedy(recorded, study, epochs):
    recorded.write(study.circumstances("v"))
    with pytest.raises(DataError) as caught:
        circumstances_of(study, "v", trained(epochs))
    assert str(caught.value) == (
        f"data/circumstances/v is not of the training that left the models; {REMEDY}"
    )


@pytest.mark.parametrize("lost", ["epochs", "runs"])
def test_circumstances_that_lack_what_a_seed_left_are_refused(recorded, study, lost):
    setattr(recorded, lost, [row for row in getattr(recorded, lost) if row.seed != 4])
    recorded.write(study.circumstances("v"))
    with pytest.raises(DataError, match="is not of the training that left the models"):
        circumstances_of(study, "v", trained({4: 1, 7: 2}))


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
    source, diff = look_at_source("unroll train v")
    assert source.dirty
    assert b"hush" not in diff
    assert b"https://***@host/a" in diff
    assert b"http://host:8080/a plain, mail to me@host" in diff
