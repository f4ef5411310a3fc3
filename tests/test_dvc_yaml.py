"""All studies have one body; what their stages declare is there, and is all that they read."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from unroll import options, study, tasks

ROOT = Path(__file__).parents[1]
with contextlib.chdir(ROOT):
    STUDIES = study.studies()

LONGEST = 120  # lines of the body
OPTIONAL = {"compute", "generate", "comparison", "checkpoint"}  # sections of a params file
REPORT = ("comparison.csv", "comparison.md", "verdicts.csv", "seeds.csv", "breakdown.csv")


def read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


def dvc_file(name: str) -> Path:
    return ROOT / study.study_folder(name) / "dvc.yaml"


def body(name: str) -> str:
    """Return what stands between the header of a study and its plots."""
    _, start, rest = dvc_file(name).read_text().partition("\nstages:\n")
    assert start, f"{name} has no stages"
    return rest.partition("\nplots:\n")[0].rstrip("\n")


def test_studies_are_found_by_looking():
    assert STUDIES[:1] == ["root"]
    assert "quick" in STUDIES
    assert all(dvc_file(name).is_file() for name in STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_all_studies_have_one_body(name):
    assert body(name) == body("root")


def test_the_body_can_be_read_at_one_sitting():
    assert len(body("root").splitlines()) <= LONGEST


@pytest.mark.parametrize("name", STUDIES)
def test_the_header_follows_from_the_name_of_the_folder(name):
    raw = read(dvc_file(name))
    assert list(raw) in (["vars", "stages"], ["vars", "stages", "plots"])
    [header] = raw["vars"]
    found = header.pop("study")
    assert not header
    assert (ROOT / found.pop("inputs")).exists()  # a study may have files of its own
    if name == study.ROOT_STUDY:
        assert found == {
            "command": "unroll",
            "data": "data",
            "params": "params.yaml",
            "reports": "reports",
            "root": ".",
        }
    else:
        assert found == {
            "command": f"unroll --study {name}",
            "data": f"data/{name}",
            "params": f"pipeline/{name}/params.yaml",
            "reports": f"reports/{name}",
            "root": "../..",
        }


@pytest.fixture(scope="module")
def stages() -> dict[str, dict[str, PipelineStage]]:
    """Return the stages of each study as DVC reads them: `train@peeky`."""
    with Repo(str(ROOT)) as repo:
        return {
            name: {
                stage.addressing.rpartition(":")[2]: stage
                for stage in repo.index.stages
                if Path(stage.path) == dvc_file(name)
            }
            for name in STUDIES
        }


def kind(name: str) -> str:
    return name.partition("@")[0]


def outputs(stage: PipelineStage) -> set[str]:
    return {out.def_path for out in stage.outs}


def files(stage: PipelineStage) -> set[str]:
    """Return the files and folders that a stage depends on, without params."""
    return {dep.def_path for dep in stage.deps if not hasattr(dep, "params")}


def params(stage: PipelineStage) -> dict[str, list[str]]:
    return {dep.def_path: dep.params for dep in stage.deps if hasattr(dep, "params")}


@pytest.fixture
def loaded(monkeypatch):
    monkeypatch.chdir(ROOT)
    return study.load


@pytest.mark.parametrize("name", STUDIES)
def test_stages_write_where_the_study_says(name, stages, loaded):
    found, known = stages[name], loaded(name)
    variants = list(known.variants)
    assert len(found) == 3 + 2 * len(known.tasks) + 3 * len(variants)
    plan = known.report_plan.parent
    expected = {
        "plan": {plan, known.sources},
        "report": {known.reports / n for n in (*REPORT, "curves", "samples", "report.html")},
        "track": {known.tracked},
    }
    for task in known.tasks:
        expected[f"prepare@{task}"] = {known.prepared(task)}
        expected[f"size@{task}"] = {known.data / "sizes" / task}
    for variant in variants:
        expected[f"train@{variant}"] = {known.model(variant), known.circumstances(variant)}
        expected[f"evaluate@{variant}"] = {known.evaluation(variant), known.metrics(variant)}
        expected[f"generate@{variant}"] = {known.generated(variant)}
    assert {n: outputs(s) for n, s in found.items()} == {
        n: {path.as_posix() for path in paths} for n, paths in expected.items()
    }


@pytest.mark.parametrize("name", STUDIES)
def test_stages_read_what_other_stages_write_or_what_is_there(name, stages):
    written = {Path(out) for stage in stages[name].values() for out in outputs(stage)}
    for stage in stages[name].values():
        for file in map(Path, (*files(stage), *params(stage))):
            made = any(out in (file, *file.parents) or file in out.parents for out in written)
            assert made or (ROOT / file).exists(), f"{stage.addressing} needs {file}"


@pytest.mark.parametrize("name", STUDIES)
def test_no_stage_needs_a_section_that_may_be_missing(name, stages):
    for stage in stages[name].values():
        for file, keys in params(stage).items():
            assert file == (study.study_folder(name) / "params.yaml").as_posix()
            assert not {key.partition(".")[0] for key in keys or []} & OPTIONAL


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("what", ["train", "evaluate", "generate"])
def test_what_takes_hours_depends_on_plans_and_not_on_sources_or_params(name, what, stages, loaded):
    known = loaded(name)
    for variant in known.variants:
        stage = stages[name][f"{what}@{variant}"]
        assert known.plan(what, variant).as_posix() in files(stage)
        assert not params(stage)
        assert all(Path(file).is_relative_to(known.data) for file in files(stage))


@pytest.mark.parametrize("name", STUDIES)
def test_what_the_report_needs_is_in_git_and_what_is_large_is_not(name, stages, loaded):
    """So that a clone without the cache can compare a new variant with the others."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git here")
    known = loaded(name)

    def ignored(path: str) -> bool:
        command = ["git", "check-ignore", "--quiet", "--no-index", path]
        return subprocess.run(command, cwd=ROOT).returncode == 0

    for stage in stages[name].values():
        for out in stage.outs:
            assert out.use_cache == (kind(stage.name) in ("prepare", "size", "train"))
            assert out.use_cache <= ignored(out.def_path)
    plans = {known.plan("train", variant) for variant in known.variants}
    results = {known.evaluation("some") / "scores.csv", known.generated("some") / "samples.txt"}
    for path in (known.report_plan, *plans, *results):
        assert not ignored(path.as_posix())


TOY = """
tasks:
  one:
    data: {data}
    defaults: {{seeds: [0], embedding_size: 4, hidden_size: 8, epochs: 1, batch_size: 4,
               optimizer: adam, learning_rate: 0.01{more}}}
variants:
  first: {{task: one}}
  second: {{task: one, layers: 2, match_parameters: first}}
"""
DATA = {
    "addition": "{kind: addition, max_digits: 1, train: 30, valid: 10, test: 10}",
    "text": "{kind: text, source: grammar, sentences: 300}",
    "brackets": "{kind: brackets, longest: 10, train: 30, valid: 10, test: 10}",
    "dates": "{kind: dates, train: 30, valid: 10, test: 10}",
    "translation": "{kind: translation, to_language: ko, train: 30, valid: 10, test: 10}",
    "captions": "{kind: captions, train: 30, valid: 10, test: 10, new_combinations: 3}",
    "copy": "{kind: copy, train: 30, valid: 10, test: 10}",
    "dialogue": "{kind: dialogue, language: korean, valid: 10, test: 10}",
    "programs": "{kind: programs, train: 30, valid: 10, test: 10}",
    "sentences": "{kind: sentences, language: korean, valid: 10, test: 10}",
}

MODULES = """
import json, sys
from unroll import study
{code}
print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.startswith("unroll.")]))
"""

RUNS = {
    "prepare": "from unroll.stages.prepare import prepare; prepare(study.load(), 'one')",
    "track": "import unroll.stages.track, unroll.tracking.store, unroll.tracking.sync",
}

# What a stage reads of the sources although it cannot change what the stage writes.
WITHOUT_EFFECT = {
    "prepare": {"kinds", "metrics.py", "options.py", "stages", "study.py"},
    # How a study's files are found and read; what they say does not come from here.
    "track": {
        *("data", "evaluation", "kinds", "metrics.py", "options.py", "stages", "storage"),
        *("study.py", "tasks"),
    },
}


def imported(code: str, folder: Path) -> set[str]:
    """Return the sources that a stage has imported when it has run."""
    command = [sys.executable, "-c", MODULES.format(code=code)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    found = map(Path, json.loads(done.stdout.splitlines()[-1]))
    package = Path(study.__file__).parent
    return {file.relative_to(package).as_posix() for file in found if file.name != "__init__.py"}


def within(name: str, declared: set[str]) -> bool:
    return any(part in (*(p.as_posix() for p in Path(name).parents), name) for part in declared)


@pytest.mark.parametrize("task", tasks.names())
def test_the_sources_that_prepare_uses_are_declared(task, tmp_path):
    """Whatever the task: a task's stage depends on that task's own file."""
    assert task in DATA, "say above how little data of this task are made"
    more = ", time_steps: 5" if tasks.named(task).kind == "corpus" else ""
    (tmp_path / "params.yaml").write_text(TOY.format(data=DATA[task], more=more))
    raw = read(dvc_file("root"))["stages"]["prepare"]["do"]["deps"]
    declared = {d.replace("${item.data.kind}", task) for d in raw}
    check_declared("prepare", declared, imported(RUNS["prepare"], tmp_path), tmp_path)


def test_the_sources_that_track_uses_are_declared(tmp_path):
    declared = set(read(dvc_file("root"))["stages"]["track"]["deps"])
    # Imported where a model is registered, and only there: PyTorch comes with it.
    used = imported(RUNS["track"], tmp_path) | {"serving.py"}
    check_declared("track", declared, used, tmp_path)


def check_declared(stage: str, declared: set[str], used: set[str], folder: Path) -> None:
    sources = {d.removeprefix("src/unroll/") for d in declared if d.startswith("src/")}
    allowed = sources | WITHOUT_EFFECT[stage] | {"errors.py", "faults.py", "names.py"}
    unknown = {name for name in used if not within(name, allowed)}
    # All tasks are imported where the names of those that there are are asked for.
    assert unknown <= {f"tasks/{name}.py" for name in tasks.names()}
    assert not unknown or stage == "prepare"
    idle = {part for part in sources if not any(within(name, {part}) for name in used)}
    assert not idle, "declared, and not used"


def test_quick_stages_depend_on_all_sources():
    """They read from many rooms; where what they write stays the same DVC stops there."""
    raw = read(dvc_file("root"))["stages"]
    for stage in ("plan", "size", "report"):
        assert "src/unroll" in raw[stage].get("do", raw[stage])["deps"], stage


def test_options_do_not_depend_on_other_sections(tmp_path, monkeypatch):
    raw = read(ROOT / "params.yaml")
    monkeypatch.chdir(tmp_path)

    def variant(params: dict) -> options.VariantOptions:
        YAML(typ="safe").dump(params, Path("params.yaml"))
        return study.load().variant("peeky")

    whole = variant(raw)
    raw["variants"] = {"peeky": raw["variants"]["peeky"]}
    raw["tasks"] = {"addition": raw["tasks"]["addition"]}
    raw["tasks"]["addition"]["data"]["seed"] = 7
    for section in OPTIONAL:
        del raw[section]
    assert variant(raw) == whole


def lines() -> Iterator[tuple[str, bool]]:
    """Yield each key of the root's params file, with whether a comment stands beside it."""
    for line in (ROOT / "params.yaml").read_text().splitlines():
        if ":" in line and not line.lstrip().startswith("#"):
            yield line.split(":")[0].strip(), "#" in line


def test_every_option_of_params_yaml_has_a_comment_somewhere(loaded):
    explained: dict[str, bool] = {}
    for key, comment in lines():
        explained[key] = explained.get(key, False) or comment
    root = loaded()
    sections = {*study.SECTIONS, "data", "defaults", "references"}
    self_evident = {"task", "epochs", "kind", "prompts"}
    bare = {key for key, has in explained.items() if not has}
    assert bare <= sections | {*root.tasks, *root.variants} | self_evident


@pytest.mark.parametrize("name", STUDIES)
def test_params_are_written_as_dvc_writes_them(name, tmp_path):
    """Else `dvc exp run -S` changes many lines for one option."""
    file = study.study_folder(name) / "params.yaml"
    text = (ROOT / file).read_text("utf-8")
    copy = tmp_path / "params.yaml"
    copy.write_text(text, "utf-8")
    apply_overrides(copy, ["compute.device=auto"])
    assert copy.read_text("utf-8") == text
    apply_overrides(copy, ["compute.device=cpu"])
    changed = zip(text.splitlines(), copy.read_text("utf-8").splitlines(), strict=True)
    assert sum(before != after for before, after in changed) == 1


def test_every_option_stands_in_params_yaml():
    """In the root's, in a comment where it has none of that kind; of data, in that of a study."""
    text = (ROOT / "params.yaml").read_text()
    sections = [options.Compute, options.Generate, options.Scoring, options.Comparison]
    for model in (*sections, options.Checkpointing, *options.OPTIONS.values()):
        for key in model.model_fields:
            assert f"{key}:" in text, f"{model.__name__}.{key}"
    texts = [(ROOT / study.study_folder(name) / "params.yaml").read_text() for name in STUDIES]
    for name in tasks.names():
        for key in tasks.named(name).Options.model_fields:
            assert any(f"{key}:" in text for text in texts), f"{name}: {key}"
