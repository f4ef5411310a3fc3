"""What an edit makes `dvc repro` do: train what behaves in another way, and nothing else.

The toy study, under a real `dvc repro`, with a variant of each kind; the code that runs is the
copy's own, so that it can be edited. The guarantees are those of stages and plans, the same for
every study: here the smallest one is enough.
"""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from conftest import Checkout

pytestmark = [pytest.mark.slow, pytest.mark.long]

STUDY = "pipeline/toy/dvc.yaml"
PARAMS = "pipeline/toy/params.yaml"
PEEKY = "return _beside(memory.summary, embedded)"
OTHER_PEEKY = "return _beside(2 * memory.summary, embedded)"

# The third kind, labels: the toy study has the other two.
NESTED: dict[str, Any] = {
    "data": {"kind": "brackets", "longest": 12, "train": 40, "valid": 10, "test": 10},
    "defaults": {
        **{"seeds": [0], "embedding_size": 4, "hidden_size": 8, "epochs": 2, "batch_size": 10},
        **{"optimizer": "adam", "learning_rate": 0.01},
    },
}


@dataclass(frozen=True)
class Repro:
    """What a `dvc repro` told and left."""

    told: str
    files: dict[str, bytes]

    @property
    def ran(self) -> set[str]:
        """The stages that ran: `train@peeky`."""
        return set(re.findall(r"Running stage '(?:\S+:)?(\S+)':", self.told))

    @property
    def restored(self) -> set[str]:
        """The stages whose outputs came from DVC's cache."""
        return set(re.findall(r"Stage '(?:\S+:)?(\S+)' is cached", self.told))

    @property
    def changed(self) -> set[str]:
        """The variants whose plans of training were said to have changed."""
        return set(re.findall(r"changed: train/(\S+)\.json", self.told))

    def variants(self, stage: str) -> set[str]:
        """The variants with which a stage ran."""
        return {name.partition("@")[2] for name in self.ran if name.startswith(f"{stage}@")}

    def of(self, part: str) -> dict[str, bytes]:
        """The files below a folder."""
        return {name: text for name, text in self.files.items() if name.startswith(part)}


def repro(project: Checkout, *arguments: str, **env: str) -> Repro:
    """Bring the study up to date; return what was told, and what of models and results is there."""
    told = project.run("dvc", "repro", *(arguments or (STUDY,)), env=env)
    roots = ("data/toy/models", "data/toy/evaluation", "data/toy/generated", "reports/toy")
    found = [path for root in roots for path in (project.folder / root).rglob("*")]
    files = {
        path.relative_to(project.folder).as_posix(): path.read_bytes()
        for path in found
        if path.is_file()
    }
    return Repro(told, files)


def change(project: Checkout, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit the params of the study."""
    path = project.folder / PARAMS
    params = YAML(typ="safe").load(path.read_text())
    edit(params)
    YAML(typ="safe").dump(params, path)


def compared(found: Repro) -> set[str]:
    """Return the variants of the report."""
    table = found.files["reports/toy/verdicts.csv"], found.files["reports/toy/comparison.csv"]
    assert all(table)
    return {line.split(",")[2] for line in table[1].decode().splitlines()[1:]}


@pytest.fixture(scope="module")
def project(toy_study: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Return a copy of the toy study; the runs below happen in it, one after another."""
    return toy_study.copy(tmp_path_factory.mktemp("behaviour") / "project")


@pytest.fixture(scope="module")
def own(project: Checkout) -> dict[str, str]:
    """Return the environment in which the code of the copy runs."""
    env = {"PYTHONPATH": str(project.folder / "src")}
    where = project.run("python", "-c", "import unroll; print(unroll.__file__)", env=env)
    assert Path(where.strip()).is_relative_to(project.folder)
    return env


@pytest.fixture(scope="module")
def remarked(project, own) -> Repro:
    """Add a comment to each source file."""
    sources = sorted((project.folder / "src/unroll").rglob("*.py"))
    assert len(sources) > 100
    for path in sources:
        path.write_text(f"# A remark.\n{path.read_text()}# Another one.\n")
    return repro(project, **own)


@pytest.fixture(scope="module")
def grown(project, own, remarked) -> Repro:
    """Add a seed to a variant, and a variant of a task of the third kind."""

    def edit(params: dict[str, Any]) -> None:
        params["variants"]["peeky"]["seeds"] = [0, 1, 2]
        params["tasks"]["nested"] = NESTED
        params["variants"]["nesting"] = {"task": "nested"}

    change(project, edit)
    return repro(project, **own)


@pytest.fixture(scope="module")
def edited(project, own, grown) -> Repro:
    """Let a decoder do something else."""
    project.edit("src/unroll/models/decoders.py", PEEKY, OTHER_PEEKY)
    return repro(project, **own)


@pytest.fixture(scope="module")
def put_back(project, own, edited) -> Repro:
    """Put the decoder back, and take the variant of the third kind out."""
    project.edit("src/unroll/models/decoders.py", OTHER_PEEKY, PEEKY)
    change(project, lambda params: params["variants"].pop("nesting"))
    return repro(project, **own)


@pytest.fixture(scope="module")
def bare(project, own, put_back) -> Repro:
    """Leave of the study the addition variants alone: no language model, no other section."""

    def edit(params: dict[str, Any]) -> None:
        params["tasks"] = {"addition": params["tasks"]["addition"]}
        names = [v for v, options in params["variants"].items() if options["task"] == "addition"]
        params["variants"] = {name: params["variants"][name] for name in names}
        for section in ("compute", "generate", "comparison", "checkpoint"):
            params.pop(section, None)

    change(project, edit)
    return repro(project, **own)


def test_a_comment_in_every_file_trains_and_evaluates_nothing(remarked):
    assert "plan" in remarked.ran
    assert "changed: " not in remarked.told
    stages = {name.partition("@")[0] for name in (*remarked.ran, *remarked.restored)}
    assert not stages & {"train", "evaluate", "generate"}, remarked.told


def test_another_seed_is_one_training(remarked, grown):
    assert grown.variants("train") == grown.changed == {"peeky", "nesting"}  # that is new
    assert grown.told.count("kept, it was trained already") == 2
    assert "peeky: 1 seeds" in grown.told
    assert grown.of("data/toy/models/peeky/seed-2/")
    for seed in (0, 1):
        for part in ("models", "evaluation"):
            folder = f"data/toy/{part}/peeky/seed-{seed}/"
            kept = remarked.of(folder)
            assert kept
            same = [name for name in kept if not name.endswith(("run.json", "manifest.json"))]
            assert {n: kept[n] for n in same} == {n: grown.files.get(n) for n in same}


def test_a_variant_of_another_kind_is_evaluated_alone_and_compared(grown):
    assert grown.variants("evaluate") == {"peeky", "nesting"}
    assert compared(grown) == {"baseline", "peeky", "rnnlm", "nesting"}
    assert b"test_accuracy" in grown.files["reports/toy/metrics/nesting.json"]


def test_another_behaviour_of_a_decoder_trains_its_variants_and_no_others(grown, edited):
    assert edited.variants("train") == edited.changed == {"peeky"}
    assert edited.variants("evaluate") == {"peeky"}
    assert "kept, it was trained already" not in edited.told
    weights = "data/toy/models/peeky/seed-0/weights.safetensors"
    assert edited.files[weights] != grown.files[weights]
    for others in ("baseline", "rnnlm", "nesting"):
        assert edited.of(f"data/toy/models/{others}/") == grown.of(f"data/toy/models/{others}/")


def test_what_is_put_back_comes_from_the_cache(grown, put_back):
    assert not put_back.variants("train")
    assert "train@peeky" in put_back.restored
    for part in ("models", "evaluation"):
        assert put_back.of(f"data/toy/{part}/peeky/") == grown.of(f"data/toy/{part}/peeky/")


def test_a_variant_that_was_taken_out_leaves_nothing(edited, put_back):
    traces = [name for name in edited.files if "nesting" in name]
    for part in ("data/toy/evaluation", "data/toy/generated", "reports/toy/metrics"):
        assert any(name.startswith(part) for name in traces)
        assert not [n for n in put_back.of(part) if "nesting" in n]
    assert compared(put_back) == {"baseline", "peeky", "rnnlm"}
    assert b"nesting" not in put_back.files["reports/toy/comparison.md"]


def test_a_study_needs_no_language_model_and_no_other_sections(project, bare):
    assert not bare.variants("train")  # what was left out had its default
    assert "report" in bare.ran
    assert compared(bare) == {"baseline", "peeky"}
    assert not [name for name in bare.of("reports/toy") if "rnnlm" in name]
    assert "up to date" in project.run("dvc", "repro", STUDY, env={
        "PYTHONPATH": str(project.folder / "src")
    })  # fmt: skip


def clone(study: Checkout, target: Path, *options: str) -> Checkout:
    """Return a clone of a study's repository: DVC's cache is not there."""
    study.run("git", "clone", "--quiet", *options, str(study.folder), str(target))
    cloned = Checkout(target)
    assert not (target / ".dvc/cache").exists()
    assert not (target / "data/toy/models").exists()
    return cloned


def test_a_clone_without_the_cache_trains_a_new_variant_alone(toy_study, tmp_path):
    cloned = clone(toy_study, tmp_path / "clone")
    before = pd.read_csv(toy_study.folder / "reports/toy/comparison.csv")
    new = {"task": "addition", "cell": "gru"}
    change(cloned, lambda params: params["variants"].update(gru=new))
    prepared = repro(cloned, f"{STUDY}:prepare")
    assert {name.partition("@")[0] for name in prepared.ran} == {"prepare"}
    done = repro(cloned, "--allow-missing", STUDY)
    assert done.variants("train") == done.variants("evaluate") == {"gru"}
    after = pd.read_csv(cloned.folder / "reports/toy/comparison.csv")
    assert set(after["variant"]) == {*before["variant"], "gru"}
    columns = ["variant", "metric", "mean", "low", "high"]
    others = after[after["variant"] != "gru"][columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, before[columns])


def test_half_a_lock_file_is_mended_by_removing_it(toy_study, tmp_path):
    """DVC does not write it under another name first: a kill in that moment leaves half of one."""
    project = toy_study.copy(tmp_path / "project")
    lock = project.folder / "pipeline/toy/dvc.lock"
    whole = lock.read_bytes()
    for share in (0.3, 0.7):
        # Within a word: half a file that ends with a whole stage is a lock file, of fewer stages.
        lock.write_bytes(whole[: whole.index(b"hash: md5", int(share * len(whole))) + 2])
        told = project.run("dvc", "repro", STUDY, fails=True)
        assert "dvc.lock" in told, told
    lock.unlink()
    mended = repro(project, STUDY)
    assert not mended.variants("train"), mended.told
    yaml = YAML(typ="safe")
    assert yaml.load(lock.read_bytes()) == yaml.load(whole)


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_a_clone_with_other_line_ends_finds_nothing_out_of_date(toy_study, tmp_path):
    """As Git for Windows makes it: sources and results must be the same bytes there."""
    cloned = clone(toy_study, tmp_path / "clone", "-c", "core.autocrlf=true")
    told = cloned.run("dvc", "status", STUDY)
    assert "deleted: " in told  # what is not in git
    assert "modified: " not in told and "changed command" not in told and "new: " not in told
    told = cloned.run("dvc", "repro", "--dry", "--allow-missing", STUDY)
    assert not Repro(told, {}).ran, told
