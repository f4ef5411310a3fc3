"""No file that the project reads can bring code with it.

Each file of a study is replaced in turn by one that makes a folder when it is loaded in the wrong
way: as a pickle, as a PyTorch archive, as YAML with objects. What reads the file must refuse it, or
take it for a text, and never make that folder.
"""

import ast
import contextlib
import io
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow.pyfunc
import pytest
import torch
from click.testing import CliRunner
from ruamel.yaml import YAML

from fuzz.damage import seal
from unroll import cli, kinds
from unroll.data import ptb
from unroll.data.corpus import found_texts
from unroll.errors import DataError, UserError
from unroll.evaluation.items import read_items
from unroll.evaluation.scores import read_scores
from unroll.reporting import figures
from unroll.reporting.results import read_result
from unroll.runs.model import read_model
from unroll.stages import plan as plans
from unroll.stages.size import sized
from unroll.stages.train import jobs_of
from unroll.storage.folders import MANIFEST
from unroll.study import load
from unroll.tracking.lineage import origin
from unroll.tracking.state import desired
from unroll.training.interruption import Interrupted
from unroll.training.run import run

SOURCE = Path(cli.__file__).parent


class Hostile:
    """What makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def torch_archive(trap: Path) -> bytes:
    archive = io.BytesIO()
    torch.save(Hostile(trap), archive)
    return archive.getvalue()


FORMS: dict[str, Callable[[Path], bytes]] = {
    "pickle": lambda trap: pickle.dumps(Hostile(trap)),
    "pickle in ASCII": lambda trap: pickle.dumps(Hostile(trap), protocol=0),
    "PyTorch archive": torch_archive,
    "YAML": lambda trap: f"!!python/object/apply:os.mkdir ['{trap}']\n".encode(),
}

# Those that take long try one form every day.
SHORT = list(FORMS) if os.environ.get("UNROLL_FAULTS") == "all" else ["pickle"]


@pytest.fixture
def trap(tmp_path) -> Path:
    """Return the folder that nobody may make."""
    return tmp_path / "executed"


@pytest.mark.parametrize(
    ("form", "loads"),
    [
        ("pickle", pickle.load),
        ("pickle in ASCII", pickle.load),
        ("PyTorch archive", lambda file: torch.load(file, weights_only=False)),
        ("YAML", lambda file: YAML(typ="unsafe").load(file)),
    ],
)
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_the_trap_works(trap, form, loads):
    loads(io.BytesIO(FORMS[form](trap)))
    assert trap.is_dir()


def invoke(*arguments: str) -> None:
    """Run a command of the toy study in this process; raise what it tells of an error."""
    done = CliRunner().invoke(cli.main, ["--study", "toy", *arguments])
    if done.exit_code:
        told = isinstance(done.exception, SystemExit) and "error: " in done.output
        raise UserError(done.output) if told else done.exception


def command(*arguments: str) -> Callable[[], None]:
    return lambda: invoke(*arguments)


def train_on(variant: str) -> None:
    """Go on with the training of the first seed, in this process."""
    run(jobs_of(load("toy"), variant)[:1], [lambda message: None])


Readers = list[Callable[[], object]]


def readers() -> dict[str, Readers]:
    """Return what reads the files under each path."""
    study = load("toy")
    evaluate = [command("evaluate", variant) for variant in study.variants]
    writers = [v for v in study.variants if study.kind_of(v).continues]
    generate = [command("generate", variant) for variant in writers]
    results: Readers = [lambda v=v: read_result(study, v) for v in study.variants]
    states: Readers = [lambda v=v: desired(study, v) for v in study.variants]
    jobs: Readers = [lambda v=v: jobs_of(study, v) for v in study.variants]
    report, written = command("report"), [command("report", "--check"), *generate]
    found: dict[str, Readers] = {
        "pipeline/toy/params.yaml": [lambda: load("toy"), report],
        "pipeline/toy/dvc.lock": [lambda v=v: origin(study, v) for v in study.variants],
        "pipeline/toy/dvc.yaml": [],  # DVC's; see below
        "data/toy/generated": [*results, *states, report],
        "data/toy/plans": [*jobs, command("plan")],
        "data/toy/sources.json": [*jobs, command("plan")],
        "data/toy/tracked.csv": [],  # for people, and for DVC
        "reports/toy": written,
        "reports/comparison.md": [command("report", "--readme")],
        "README.md": [command("report", "--readme")],
        "mlflow.db": [command("compare"), command("track")],
    }
    for name, task in study.tasks.items():
        folder, kind = study.prepared(name), kinds.named(task.kind)
        found[f"{folder}"] = [
            lambda kind=kind, folder=folder: kind.load(folder),
            command("size", name),
            *evaluate,
            *generate,
            *[lambda v=v: train_on(v) for v, o in study.variants.items() if o.task == name],
        ]
        found[f"{study.data}/sizes/{name}"] = [
            lambda v=v: sized(study, v) for v, o in study.variants.items() if o.task == name
        ]
    for variant in study.variants:
        ask = ("complete", "you") if variant in writers else ("ask", "1+1")
        state = lambda v=variant: desired(study, v)  # noqa: E731 - one of several alike
        found[f"{study.checkpoints(variant)}"] = [lambda v=variant: train_on(v)]
        found[f"{study.circumstances(variant)}"] = [state, command("evaluate", variant)]
        found[f"{study.model(variant)}"] = [
            state,
            *[lambda f=f: read_model(f) for f in study.model(variant).iterdir()],
            command("evaluate", variant),
            *([command("generate", variant)] if variant in writers else []),
            command(*ask),
            command(*ask, "--variant", variant),
        ]
        evaluation, kind = study.evaluation(variant), study.kind_of(variant)
        found[f"{evaluation}"] = [
            state,
            lambda v=variant: read_result(study, v),
            lambda f=evaluation, kind=kind: read_scores(f, kind),
            *[lambda f=f: read_items(f) for f in evaluation.glob("seed-*")],
        ]
    return found


def of(path: Path, found: dict[str, Readers]) -> Readers:
    """Return the readers of a file: those of the longest path above it."""
    names = [name for name in found if path == Path(name) or Path(name) in path.parents]
    assert names, f"nothing here reads {path}: is it a new output?"
    return found[max(names, key=len)]


@pytest.fixture(scope="module")
def study(toy_study, tmp_path_factory) -> Iterator[Path]:
    """Return a copy of the toy study, with a checkpoint, in which this process works."""
    copy = toy_study.copy(tmp_path_factory.mktemp("hostile") / "project")
    with_more(copy)
    folder = copy.folder
    source, target = folder / "reports" / "toy", folder / "reports"
    for name in ("comparison.md", "comparison.csv"):  # of the root study: the README shows them
        shutil.copy(source / name, target / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("DVC_ROOT", raising=False)
        for name in ("learning_curves", "curves_against", "against_parameters", "by_class"):
            patch.setattr(figures, name, lambda *_, **__: "<svg/>")  # they read no file
        known = plans.plans(load("toy"))  # they take their time, and read no file either
        patch.setattr(plans, "plans", lambda study: known)
        yield folder


def with_more(study) -> None:
    """Add variants that leave what the others do not: maps of attention, texts and their scores."""
    peeky = "  peeky: {task: addition, decoder: peeky}\n"
    more = "  attentive: {task: addition, decoder: attention}\n  translator: {task: numbers}\n"
    study.edit("pipeline/toy/params.yaml", peeky, peeky + more)
    data = "data: {kind: translation, to_language: ko, train: 30, valid: 5, test: 5}"
    sizes = "seeds: [0, 1], embedding_size: 4, hidden_size: 4, epochs: 2, batch_size: 5"
    how = "optimizer: adam, learning_rate: 0.01"
    numbers = f"  numbers:\n    {data}\n    defaults: {{{sizes}, {how}}}\n"
    study.edit("pipeline/toy/params.yaml", "tasks:\n", f"tasks:\n{numbers}")
    new = ("attentive", "translator")
    of_variants = [(stage, one) for one in new for stage in ("train", "evaluate", "generate")]
    of_tasks = [("prepare", "numbers"), ("size", "addition"), ("size", "numbers")]
    for stage in (("plan",), *of_tasks, *of_variants):
        study.run("unroll", "--study", "toy", *stage, env={"DVC_STAGE": "@".join(stage)})


@pytest.fixture
def checkpoints(study) -> None:
    """Leave a checkpoint of each variant; an evaluation would remove it."""
    for variant in load("toy").variants:
        leave_a_checkpoint(variant)


def leave_a_checkpoint(variant: str) -> None:
    [job, *_] = jobs_of(load("toy"), variant)

    def stop(message: object) -> None:
        if job.checkpoint.path.exists():
            raise Interrupted

    with pytest.raises(Interrupted):
        run([job], [stop])


def files() -> list[Path]:
    """Return every file of the study that the project reads."""
    roots = ("data/toy", "reports/toy", "pipeline/toy")
    found = [path for root in roots for path in Path(root).rglob("*") if path.is_file()]
    return sorted([*found, Path("README.md"), Path("reports/comparison.md"), Path("mlflow.db")])


@pytest.mark.slow
@pytest.mark.long
def test_no_kind_of_file_is_left_out(study, checkpoints):
    names = {path.name for path in files()}
    names |= {path.suffix for path in files() if "checkpoints" in path.parts}
    missing = {
        *("params.yaml", "README.md", "mlflow.db", "comparison.csv", "comparison.md"),
        *("train.source.npy", "train.npy", "form.json", "facts.json", "manifest.json"),
        *("baseline.json", "report.json", "sources.json"),
        *("weights.safetensors", "run.json", "history.csv", ".safetensors"),
        *("epochs.csv", "session.json", "uncommitted.diff"),
        *("scores.csv", "counts.json", "items.safetensors", "breakdown.csv", "samples.txt"),
        *("attention.json", "novelty.csv", "dvc.lock", "texts.json", "notes.json"),
    } - names
    assert not missing


@contextlib.contextmanager
def kept(path: Path) -> Iterator[None]:
    """Put a file back as it was after the block."""
    content = path.read_bytes()
    try:
        yield
    finally:
        path.write_bytes(content)


def refusals(reading: Readers, trap: Path, place: str) -> int:
    """Call the readers; return how many of them refuse what they read."""
    count = 0
    for reader in reading:
        try:
            reader()
        except UserError:
            count += 1
        except Exception as error:
            raise AssertionError(f"{place} is not refused in words: {error!r}") from error
        finally:
            assert not trap.exists(), f"{place} was executed"
    return count


def must_be_refused(path: Path) -> bool:
    """Say whether a reader must refuse a file even where its seal is right.

    The others are plans that DVC alone compares, texts, which take anything in UTF-8, and results
    that the project never reads.
    """
    if "plans" in path.parts:
        return "train" in path.parts
    if path.parts[0] == "data":
        formats = (".safetensors", ".json", ".csv", ".npy")
        # These two are for people alone.
        return path.suffix in formats and path.name not in ("tracked.csv", "tokens.safetensors")
    return path.name in ("params.yaml", "comparison.csv", "mlflow.db")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("form", SHORT)
def test_no_file_of_a_study_is_executed(study, checkpoints, trap, form):
    """Each file also with a manifest that fits, so that the reader of its format sees it."""
    hostile, found, refused, names = FORMS[form](trap), readers(), 0, files()
    for path in names:
        reading = of(path, found)
        sealed = next((f for f in path.parents if (f / MANIFEST).is_file()), None)
        with kept(path), kept(sealed / MANIFEST if sealed else path):
            path.write_bytes(hostile)
            count = refusals(reading, trap, f"{form} as {path}")
            assert count or not sealed, path
            if sealed and path.name != MANIFEST:
                seal(sealed)
                count = refusals(reading, trap, f"{form} as {path}, sealed")
            refused += bool(count)
            assert count or not must_be_refused(path), path
    assert refusals([command("evaluate", "baseline"), command("report")], trap, "all") == 0
    print(f"{form}: {len(names)} files, {refused} of them refused by at least one reader")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("form", SHORT)
def test_no_committed_result_is_executed(study, trap, form):
    """Fresh results are compared with those of the last commit, whatever it holds."""
    path = Path("reports/toy/comparison.csv")
    commit = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet")
    with kept(path):
        path.write_bytes(FORMS[form](trap))
        subprocess.run([*commit, "--message", "hostile", "--", path], check=True)
    assert refusals([command("report", "--check")], trap, f"{form} in the last commit") == 1


@pytest.mark.parametrize("form", FORMS)
def test_no_text_that_the_user_brings_is_executed(tmp_path, monkeypatch, trap, form):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ptb, "_sources", lambda folder: [("here", lambda: ptb._local(ptb.FOLDER))])
    for folder in (ptb.FOLDER, Path("params.yaml").parent):
        folder.mkdir(parents=True, exist_ok=True)
        for split in ptb.SPLITS:
            (folder / ptb.file_name(split)).write_bytes(FORMS[form](trap))
    Path("params.yaml").write_bytes(FORMS[form](trap))
    for reader in (ptb.texts, load):
        with pytest.raises(UserError):
            reader()
    [text, *_] = found_texts(Path()).values()
    if form.startswith("P") or form == "pickle":
        with pytest.raises(DataError, match="not UTF-8"):
            list(text)
    else:  # a text like any other
        list(text)
    assert not trap.exists()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("form", SHORT)
def test_no_file_of_a_registered_model_is_executed_but_its_code(study, trap, form, tmp_path):
    """serving.py is code, and MLflow runs it; MLmodel says so, and is read as safe YAML."""
    [whole, *_] = sorted(path.parent for path in Path("mlruns").rglob("MLmodel"))
    names = [f.relative_to(whole) for f in whole.rglob("*") if f.is_file() and f.suffix != ".py"]
    names = [name for name in names if "__pycache__" not in name.parts]
    refused = 0
    for name in names:
        for sealed in (False, True):
            model = tmp_path / f"{name.name} {sealed}"
            shutil.copytree(whole, model)
            (model / name).write_bytes(FORMS[form](trap))
            of_record = name.parts[0] == "artifacts"
            if sealed and (not of_record or name.name == MANIFEST):
                continue
            if sealed:
                seal((model / name).parent)
            try:
                mlflow.pyfunc.load_model(str(model), suppress_warnings=True)
            except Exception as error:  # of MLflow's own files whatever it says
                refused += 1
                assert isinstance(error, UserError) or not of_record
            else:
                assert not of_record and name.name != "MLmodel", name
            assert not trap.exists(), name
    mlflow.pyfunc.load_model(str(whole), suppress_warnings=True)
    print(f"{form}: {len(names)} files of a model, refused {refused} times")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("form", ["pickle in ASCII", "YAML"])
@pytest.mark.parametrize(
    "name", ["pipeline/toy/dvc.yaml", "pipeline/toy/dvc.lock", "pipeline/toy/params.yaml"]
)
def test_dvc_executes_none_of_its_files(study, trap, form, name):
    with kept(Path(name)):
        Path(name).write_bytes(FORMS[form](trap))
        done = subprocess.run(
            [sys.executable, "-m", "dvc", "status", "pipeline/toy/dvc.yaml"],
            capture_output=True,
            text=True,
        )
    assert not trap.exists()
    assert done.returncode, done.stdout


MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}
FUNCTIONS = {"eval", "exec", "compile", "__import__"}
METHODS = {"extractall", "extract", "unpack_archive", "read_pickle", "unsafe_load", "full_load"}
OF_MODULES = {("torch", "load"), ("np", "load"), ("numpy", "load"), ("yaml", "load")}


# What keeps a reader from executing what it reads.
PLAIN = {"np": ("allow_pickle", False), "torch": ("weights_only", True)}


def refuses(keyword: ast.keyword) -> bool:
    """Say whether a keyword forbids to unpickle."""
    value = keyword.value
    return isinstance(value, ast.Constant) and (keyword.arg, value.value) in PLAIN.values()


def dangers(tree: ast.AST) -> Iterator[str]:
    """Yield what executes or unpacks what it reads."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    plain = [
        call.func
        for call in calls
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
        if any(
            refuses(word) and word.arg == PLAIN.get(call.func.value.id, ("",))[0]
            for word in call.keywords
        )
    ]
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (n.name for n in names if n.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module), names=names):
                found = {(module, n.name) for n in names} & OF_MODULES
                yield from (f"{module}.{name}" for module, name in found)
                if module.split(".")[0] in MODULES:
                    yield module
            case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
                yield name
            case ast.Attribute(attr=name) if name in METHODS:
                yield name
            case ast.Attribute(attr="load") if node in plain:
                continue
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                if (module, name) in OF_MODULES:
                    yield f"{module}.{name}"
            case ast.keyword(arg="allow_pickle" | "trust_remote_code" as name):
                if not refuses(node):
                    yield name
            case ast.Call(func=ast.Name(id="YAML"), args=args, keywords=keywords):
                kinds = [*args, *(word.value for word in keywords if word.arg == "typ")]
                if any(not isinstance(k, ast.Constant) or k.value != "safe" for k in kinds):
                    yield "YAML"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: p.stem)
def test_nothing_in_the_source_executes_what_it_reads(path):
    assert list(dangers(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from cloudpickle import loads",
        "import yaml",
        "torch.load(path)",
        "from torch import load",
        "np.load(path)",
        "np.load(path, mmap_mode='c')",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "torch.load(path, allow_pickle=False)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=trusted)",
        "np.load(path, weights_only=True)",
        "pd.read_pickle(path)",
        "table = reader(path, allow_pickle=True)",
        "eval(text)",
        "exec(text)",
        "archive.extractall(folder)",
        "shutil.unpack_archive(path)",
        "YAML(typ='unsafe').load(path)",
        "YAML(typ=kind).load(path)",
    ],
)
def test_what_is_dangerous_is_found(code):
    assert list(dangers(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "np.load(path, mmap_mode='c', allow_pickle=False)",
        "torch.load(path, map_location='cpu', weights_only=True)",
    ],
)
def test_what_is_read_plainly_is_no_danger(code):
    assert not list(dangers(ast.parse(code)))
