"""What the file system refuses at any moment spoils no output: it is whole, or told to be missing.

The stages of a tiny study run in this process, workers too, without MLflow (its database has tests
of its own). At the n-th call that changes something on the disk the disk is full from then on, or
the n-th call, also one that reads, is not permitted. What is on the disk afterwards is read, and
the stage runs again.
"""

import errno
import io
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors import SafetensorError
from torch import Tensor

from unroll import kinds
from unroll.errors import DataError, UserError, system_fault
from unroll.evaluation.items import read_items
from unroll.evaluation.maps import read_maps
from unroll.evaluation.scores import read_scores
from unroll.options import Strict
from unroll.reporting import figures
from unroll.runs import recorder
from unroll.runs.circumstances import circumstances_of
from unroll.runs.model import read_model
from unroll.runs.record import read_record, seed_folder
from unroll.runs.trained import evaluated, trained
from unroll.stages import plan as plans
from unroll.stages.evaluate import evaluate
from unroll.stages.generate import generate
from unroll.stages.plan import plan
from unroll.stages.prepare import prepare
from unroll.stages.report import report
from unroll.stages.size import size, sized
from unroll.stages.train import jobs_of, train
from unroll.storage.folders import check_folder
from unroll.study import Study, load
from unroll.tasks.task import Task
from unroll.training import loop
from unroll.training.checkpoint import Checkpoint, Snapshot
from unroll.training.executors import Executor
from unroll.training.run import Job, run
from unroll.training.workers import Done, Listener, Progress, Started

PARAMS = """
compute: {{device: cpu, precision: float32}}
tasks:
  sums:
    data: {{kind: addition, max_digits: 1, train: 30, valid: 10, test: 10}}
    defaults: {{seeds: [0], embedding_size: 4, hidden_size: {hidden}, epochs: 2, batch_size: 10,
               optimizer: adam, learning_rate: 0.01}}
  words:
    data: {{kind: text, source: grammar, sentences: 300, seed: {seed}}}
    defaults: {{seeds: [0], embedding_size: 4, hidden_size: 4, epochs: 1, batch_size: 40,
               time_steps: 10, optimizer: adam, learning_rate: 0.01}}
variants:
  attentive: {{task: sums, decoder: attention}}
  rnnlm: {{task: words}}
generate: {{prompts: [you], length: 5}}
checkpoint: {{every: 2}}
"""


def run_here(jobs: Sequence[Job], executor: Executor, listeners: Sequence[Listener]) -> None:
    """Run jobs as workers do, in this process."""
    for job in jobs:

        def report(message: Progress, job: Job = job) -> None:
            for listener in listeners:
                listener(job, message)

        report(Started())
        run([job], [report])
        report(Done(1))


class NoTracking:
    """In place of `LiveTracking`."""

    def __init__(self, *_: Any) -> None:
        self.finish = self.fail = lambda: None

    def __call__(self, *_: Any) -> None:
        """Hear a message."""


STAGES: dict[str, Callable[[Study], None]] = {
    "plan": plan,
    "prepare sums": lambda study: prepare(study, "sums"),
    "prepare words": lambda study: prepare(study, "words"),
    "size sums": lambda study: size(study, "sums"),
    "size words": lambda study: size(study, "words"),
    "train attentive": lambda study: train(study, "attentive"),
    "train rnnlm": lambda study: train(study, "rnnlm"),
    "evaluate attentive": lambda study: evaluate(study, "attentive"),
    "evaluate rnnlm": lambda study: evaluate(study, "rnnlm"),
    "generate attentive": lambda study: generate(study, "attentive"),
    "generate rnnlm": lambda study: generate(study, "rnnlm"),
    "report": report,
}

OUTPUTS: dict[str, list[str]] = {
    "plan": ["data/plans", "data/sources.json"],
    "prepare sums": ["data/prepared/sums"],
    "prepare words": ["data/prepared/words"],
    "size sums": ["data/sizes/sums"],
    "size words": ["data/sizes/words"],
    "train attentive": ["data/models/attentive", "data/circumstances/attentive"],
    "train rnnlm": ["data/models/rnnlm", "data/circumstances/rnnlm"],
    "evaluate attentive": ["data/evaluation/attentive", "reports/metrics/attentive.json"],
    "evaluate rnnlm": ["data/evaluation/rnnlm", "reports/metrics/rnnlm.json"],
    "generate attentive": ["data/generated/attentive"],
    "generate rnnlm": ["data/generated/rnnlm"],
    "report": [
        *(f"reports/{name}.csv" for name in ("comparison", "verdicts", "seeds", "breakdown")),
        *(f"reports/{name}" for name in ("comparison.md", "report.html", "curves", "samples")),
    ],
}

NEEDS_SPACE = {"open", "write", "fsync", "mkdir"}
OTHERS = {
    "os.mkdir": "mkdir",
    "os.rename": "rename",
    "os.remove": "remove",
    "os.rmdir": "rmdir",
    "os.listdir": "list",
    "os.scandir": "list",
}


class Disk:
    """Notes the calls that reach for something in the working folder, and refuses some of them."""

    def __init__(self) -> None:
        self.watched = False
        self.calls: list[str] = []
        self.error, self.first = 0, 0

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take a call for what it is; the hook of an audit cannot be removed, only be deaf."""
        if not self.watched:
            return
        if (event != "open" and event not in OTHERS) or isinstance(arguments[0], int | None):
            return
        path = Path(os.fsdecode(arguments[0]))
        if not path.is_absolute() or path.is_relative_to(Path.cwd()):
            reads = event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR)
            self.call("read" if reads else OTHERS.get(event, "open"), path)

    def call(self, kind: str, path: Any) -> None:
        """Note a call; refuse it where it is its turn."""
        if not self.watched:
            return
        self.calls.append(kind)
        number = len(self.calls) - 1
        full = self.error == errno.ENOSPC and kind in NEEDS_SPACE and number >= self.first
        if full or (self.error == errno.EACCES and number == self.first):
            raise OSError(self.error, os.strerror(self.error), str(path))

    def watch(self, stage: Callable[[], None], error: int = 0, first: int = 0) -> list[str]:
        """Return the calls of a stage; with an error number, the disk fails at the call `first`."""
        self.calls, self.error, self.first, self.watched = [], error, first, True
        try:
            stage()
        finally:
            self.watched = False
        return self.calls


DISK = Disk()


class File(io.FileIO):
    """A file of which half is written when the disk refuses."""

    def write(self, content: Any) -> int:
        try:
            DISK.call("write", self.name)
        except OSError:
            super().write(memoryview(content)[: len(content) // 2])
            raise
        return super().write(content)


@pytest.fixture(scope="module", autouse=True)
def disk() -> Iterator[None]:
    """Watch the disk; and let time stand still, so that whatever is written twice is the same."""
    sys.addaudithook(DISK.hear)
    open_path, fsync = Path.open, os.fsync

    def opened(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode == "wb":
            return io.BufferedWriter(File(path, mode))
        return open_path(path, mode, *arguments, **options)

    def synced(number: int) -> None:
        DISK.call("fsync", number)
        fsync(number)

    still = SimpleNamespace(
        time=lambda: 0.0,
        perf_counter=lambda: 0.0,
        monotonic=lambda: 0.0,
        cpu_percent=lambda: 0.0,
        virtual_memory=lambda: SimpleNamespace(used=0),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", opened)
        patch.setattr(os, "fsync", synced)
        for module in (recorder, loop):
            patch.setattr(module, "time", still)
        patch.setattr("unroll.stages.train.run_all", run_here)
        patch.setattr("unroll.stages.train.LiveTracking", NoTracking)
        patch.setenv("DVC_STAGE", "one of DVC's")  # `evaluate` removes checkpoints there alone
        patch.setattr(recorder, "psutil", still)
        for name in ("training_plan", "evaluation_plan", "writing_plan"):  # so do these
            patch.setattr(plans, name, once(getattr(plans, name)))
        for name in PICTURES:  # they take their time, and touch no file
            patch.setattr(figures, name, lambda *_, **__: "<svg/>")
        yield


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that works out what it returns for the same options only once."""
    known: dict[str, Any] = {}

    def remembered(*arguments: Any) -> Any:
        key = repr([plain(argument) for argument in arguments])
        if key not in known:
            watched, DISK.watched = DISK.watched, False
            known[key] = function(*arguments)
            DISK.watched = watched
        return known[key]

    return remembered


PICTURES = [
    "against_parameters",
    "attention_map",
    "by_class",
    "calibration",
    "curves_against",
    "learning_curves",
]


def plain(value: Any) -> Any:
    """Return a value in a form that can be compared."""
    if isinstance(value, pd.DataFrame):
        return value.to_csv()
    if isinstance(value, np.ndarray | Tensor):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, Strict):
        return value.model_dump()
    if isinstance(value, Task):
        return value.options.model_dump()
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if is_dataclass(value):
        return plain(vars(value))
    return value


def read(study: Study) -> dict[str, Any]:
    """Return what the readers of all outputs give; nothing of what they refuse."""
    readers: dict[str, Callable[[], Any]] = {}
    for name, task in study.tasks.items():
        readers[name] = lambda n=name, task=task: kinds.named(task.kind).load(study.prepared(n))
    for variant in study.variants:
        model, evaluation = seed_folder(study.model(variant), 0), study.evaluation(variant)
        readers |= {
            f"{variant} size": lambda variant=variant: sized(study, variant),
            f"{variant} record": lambda f=model: read_record(f),
            f"{variant} model": lambda f=model: read_model(f).model.state_dict(),
            f"{variant} circumstances": lambda variant=variant: circumstances_of(
                study.circumstances(variant), trained(study, variant)
            ),
            f"{variant} evaluated": lambda variant=variant: evaluated(study, variant),
            f"{variant} scores": lambda f=evaluation, v=variant: sealed(
                f, lambda: read_scores(f, study.kind_of(v))
            ),
            f"{variant} items": lambda f=evaluation: sealed(f, lambda: read_items(f / "seed-0")),
            f"{variant} maps": lambda f=evaluation: sealed(f, lambda: read_maps(f / "seed-0")),
        }
    found = {}
    for name, reader in readers.items():
        try:
            found[name] = plain(reader())
        except DataError:
            found[name] = None
    texts = contents(Path("reports"), Path("data/generated"), Path("data/plans"))
    return found | texts


def sealed(folder: Path, reader: Callable[[], Any]) -> Any:
    """Read from a folder whose files are looked at first, as all that read from it do."""
    check_folder(folder)
    return reader()


def snapshot(study: Study, variant: str) -> Any:
    """Return what the checkpoint of a variant holds."""
    [job] = jobs_of(study, variant)
    return plain(job.checkpoint.read())


def contents(*folders: Path) -> dict[str, bytes]:
    """Return all files but checkpoints; those that are not whole yet where they are left over."""
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    kept = [path for path in found if Path("data/checkpoints") not in path.parents]
    return {path.as_posix(): path.read_bytes() for path in kept}


@dataclass
class Unbroken:
    """A study that has run without a fault."""

    folder: Path
    results: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


class Writes:
    """The snapshots that were to be written, and how many of them were."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.asked: list[Any] = []
        self.done = 0
        write = Checkpoint.write

        def noted(checkpoint: Checkpoint, taken: Snapshot) -> None:
            sources = dict.fromkeys([*taken.sources, checkpoint.sources])
            self.asked.append(plain(replace(taken, sources=tuple(sources))))
            write(checkpoint, taken)
            self.done += 1

        patch.setattr(Checkpoint, "write", noted)

    def allowed(self) -> list[Any]:
        """Return what may be there: the last that was written, or the one that was under way."""
        return self.asked[max(self.done - 1, 0) :]


def unbroken(folder: Path, **params: int) -> Unbroken:
    """Run a study in a folder."""
    made = Unbroken(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("params.yaml").write_text(PARAMS.format(**params))
        study = load()
        for stage in STAGES.values():
            stage(study)
        made.results, made.files = read(study), contents(Path())
    return made


@pytest.fixture(scope="module")
def whole(disk, tmp_path_factory) -> Unbroken:
    return unbroken(tmp_path_factory.mktemp("whole"), hidden=8, seed=1)


@pytest.fixture(scope="module")
def earlier(disk, tmp_path_factory) -> Unbroken:
    """Return a study of other data and sizes: what its stages left is to be replaced."""
    return unbroken(tmp_path_factory.mktemp("earlier"), hidden=6, seed=2)


def begin(folder: Path, stage: str, whole: Unbroken, earlier: Unbroken | None) -> None:
    """Make a folder as it is before a stage: with nothing of it, or with what it left earlier."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole.folder, folder)
    for name in OUTPUTS[stage]:
        target = folder / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        if earlier is not None:
            source = earlier.folder / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


def check_outputs(
    study: Study, stage: str, whole: Unbroken, earlier: Unbroken | None, writes: Writes
) -> None:
    """Assert that what is there is of an unbroken run.

    Only where there was nothing before may there be nothing, or something that is refused; only
    where no checkpoint was written yet, or the record was, may there be no checkpoint.
    """
    results = read(study)
    for name, found in results.items():
        known = [u.results.get(name) for u in (whole, earlier) if u is not None]
        # A size that was found for other params is refused, whole as it is.
        may_lack = earlier is None or name.endswith(" size")
        if f".{os.getpid()}." not in name:  # what a stage leaves that was broken off
            assert found in known or (found is None and may_lack), name
    if stage.startswith("train"):
        variant = stage.removeprefix("train ")
        taken = snapshot(study, variant)
        recorded = results[f"{variant} record"] == whole.results[f"{variant} record"]
        assert taken in writes.allowed() or (taken is None and (recorded or not writes.done))


def check_fault(
    folder: Path, stage: str, whole: Unbroken, earlier: Unbroken | None, error: int, first: int
) -> bool:
    """Run a stage on a disk that fails, then again; return whether the stage was broken off."""
    begin(folder, stage, whole, earlier)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study, broken, writes = load(), None, Writes(patch)
        try:
            DISK.watch(lambda: STAGES[stage](study), error, first)
        except Exception as caught:
            broken = caught
            assert system_fault(caught) or isinstance(caught, UserError), repr(caught)
        check_outputs(study, stage, whole, earlier, writes)
        STAGES[stage](study)
        assert contents(Path()) == whole.files
    shutil.rmtree(folder)
    return broken is not None


def calls_of(folder: Path, stage: str, whole: Unbroken, earlier: Unbroken | None) -> list[str]:
    """Return the calls of a stage, that begins with nothing or with what it left earlier."""
    begin(folder, stage, whole, earlier)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study = load()
        return DISK.watch(lambda: STAGES[stage](study))


def moments(calls: list[str], error: int) -> list[int]:
    """Return the calls at which a disk can begin to fail."""
    return [n for n, kind in enumerate(calls) if error == errno.EACCES or kind in NEEDS_SPACE]


ERRORS = pytest.mark.parametrize("error", [errno.ENOSPC, errno.EACCES], ids=["full", "forbidden"])
ALL = os.environ.get("UNROLL_FAULTS") == "all"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("start", ["nothing", "an earlier result"])
@pytest.mark.parametrize("stage", STAGES)
@ERRORS
def test_a_stage_broken_off_anywhere(tmp_path, whole, earlier, stage, start, error):
    before = earlier if start != "nothing" else None
    calls = moments(calls_of(tmp_path / "study", stage, whole, before), error)
    drawn = random.Random(f"{stage}{start}").sample(calls, min(len(calls), 3))
    broken = [
        check_fault(tmp_path / "study", stage, whole, before, error, first)
        for first in (calls if ALL else drawn)
    ]
    # A stage outlives the refusal of some calls, such as the removal of a leftover.
    assert any(broken) or not ALL
    print(f"{stage}, {start}: {len(broken)} of {len(calls)}, {sum(broken)} broken off")


@ERRORS
@pytest.mark.parametrize("kind", ["open", "write", "fsync", "rename"])
def test_a_training_broken_off_at_a_call_of_each_kind(tmp_path, whole, earlier, kind, error):
    stage = "train attentive"
    calls = calls_of(tmp_path / "study", stage, whole, earlier)
    last = len(calls) - 1 - calls[::-1].index(kind)
    broken = check_fault(tmp_path / "study", stage, whole, earlier, error, last)
    assert broken or (kind, error) == ("rename", errno.ENOSPC)


@pytest.fixture
def mount(tmp_path) -> Iterator[Callable[..., Path]]:
    """Return a function that makes a small disk, or gives it other options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options: str) -> Path:
        again = ["remount"] if folder.is_mount() else []
        command = ["mount", "-t", "tmpfs", "-o", ",".join([*again, *options]), "tmpfs", folder]
        if shutil.which("mount") is None or subprocess.run(command).returncode:
            pytest.skip("no disk can be mounted here")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    ("limit", "plenty", "amounts"),
    [
        ("size={}k", "size=10m", range(8, 10_000, 16 if ALL else 64)),
        ("nr_inodes={}", "nr_inodes=9999", range(4, 10_000, 6 if ALL else 24)),
    ],
    ids=["bytes", "files"],
)
def test_a_disk_that_is_really_full(mount, monkeypatch, whole, limit, plenty, amounts):
    """Ever larger ones, until the study fits; when it is full more space is given to it."""
    broken = []
    for amount in amounts:
        folder = mount(limit.format(amount))
        monkeypatch.chdir(folder)
        shutil.copy(whole.folder / "params.yaml", folder)
        study, before = load(), len(broken)
        for name, stage in STAGES.items():
            writes = Writes(monkeypatch)
            try:
                stage(study)
            except Exception as caught:
                assert system_fault(caught).startswith("No space left on device"), repr(caught)
                check_outputs(study, name, whole, None, writes)
                broken.append(name)
                mount(plenty)
                stage(study)
        assert contents(Path()) == whole.files
        monkeypatch.undo()
        subprocess.run(["umount", "--lazy", folder], check=True)
        if len(broken) == before:
            break
    print(f"{len(broken)} disks were full, in {len(set(broken))} of {len(STAGES)} stages")
    assert len(set(broken)) > (3 if ALL else 1)


@pytest.mark.slow
@pytest.mark.long
def test_a_folder_that_cannot_be_written(mount, tmp_path, monkeypatch, whole):
    """Each stage in turn finds it so; a folder of root's own is one that is mounted so."""
    folder = mount("rw") if os.geteuid() == 0 else tmp_path / "study"
    shutil.copytree(whole.folder, folder, dirs_exist_ok=True)
    monkeypatch.chdir(folder)
    study = load()

    def allow(writing: bool) -> None:
        if os.geteuid() == 0:
            mount("rw" if writing else "ro")
        for path in [] if os.geteuid() == 0 else [folder, *folder.rglob("*")]:
            path.chmod(0o755 if writing else 0o555)

    for stage in STAGES.values():
        allow(False)
        with pytest.raises((OSError, SafetensorError)) as caught:
            stage(study)
        assert "that can be written" in system_fault(caught.value) or "writable" in system_fault(
            caught.value
        )
        assert contents(Path()) == whole.files
        allow(True)
        stage(study)
    assert contents(Path()) == whole.files
