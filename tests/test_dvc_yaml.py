"""The stages declare what they read: code, data and params, and nothing else matters."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from unroll import study
from unroll.training.sources import TRAINING

ROOT = Path(__file__).parents[1]
STUDIES = {"root": ROOT / "dvc.yaml", "quick": ROOT / "pipeline/quick/dvc.yaml"}

# What a stage imports although it cannot change what the stage writes.
WITHOUT_EFFECT = {
    "prepare": set(),
    "size": {"generation", "evaluation"},
    "train": {
        "circumstances.py",
        "data/tables.py",
        "evaluation/scores.py",
        "evaluation/selection.py",
        "stages",
        "tracking",
        "trained.py",
        "training/code.py",
        "training/progress.py",
        "training/workers.py",
    },
    "evaluate": {"seeds.py", "stages/checkpoints.py", "training/checkpoint.py"},
    "generate": set(),
    # How records are read; nothing is computed with them.
    "report": {"data", "evaluation", "generation", "models", "training"},
    "track": {"generation", "models", "seeds.py", "training"},
}

MODULES = """
import json, sys
import unroll.stages.{stage}
print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.startswith("unroll.")]))
"""


def stages(study: str) -> dict:
    return YAML(typ="safe").load(STUDIES[study].read_text())["stages"]


def body(stage: dict) -> dict:
    return stage.get("do", stage)


def test_the_code_that_trains_is_what_training_depends_on():
    declared = body(stages("root")["train"])["deps"]
    code = [d.removeprefix("src/unroll/") for d in declared if d.startswith("src/unroll/")]
    assert code == list(TRAINING)


STAGES = ["prepare", "size", "train", "evaluate", "generate", "report", "track"]


@pytest.mark.parametrize("stage", STAGES)
def test_code_that_a_stage_imports_is_declared(stage):
    command = [sys.executable, "-c", MODULES.format(stage=stage)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    folder = ROOT / "src/unroll"
    imported = {Path(file).relative_to(folder).as_posix() for file in json.loads(printed)}
    declared = {d.removeprefix("src/unroll/") for d in body(stages("root")[stage])["deps"]}
    allowed = declared | WITHOUT_EFFECT[stage] | {"errors.py"}
    unknown = {
        name
        for name in imported
        if not name.endswith("__init__.py")
        and not any(name == a or name.startswith(f"{a}/") for a in allowed)
    }
    assert not unknown


def test_declared_files_exist():
    for study in STUDIES:
        for stage in stages(study).values():
            for dependency in body(stage)["deps"]:
                if dependency.startswith("src/"):
                    assert (ROOT / dependency).exists(), dependency


def test_both_studies_have_the_same_stages():
    def shape(study: str) -> str:
        text = json.dumps({name: body(s) for name, s in stages(study).items()})
        for quick, root in [
            ("data/quick/", "data/"),
            ("reports/quick/", "reports/"),
            ("unroll --study quick", "unroll"),
        ]:
            text = text.replace(quick, root)
        return text

    quick, root = json.loads(shape("quick")), json.loads(shape("root"))
    for name, stage in root.items():
        assert quick[name].pop("wdir") == "../.."
        [(file, keys)] = quick[name].pop("params")[0].items()
        assert file == "pipeline/quick/params.yaml"
        assert keys == stage.pop("params")
        assert quick[name] == stage


def test_options_do_not_depend_on_sections_that_train_does_not_declare(tmp_path, monkeypatch):
    yaml = YAML(typ="safe")
    raw = yaml.load((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)

    def variant(params: dict) -> config.VariantOptions:
        yaml.dump(params, Path("params.yaml"))
        return study.load().variant("peeky")

    whole = variant(raw)
    raw["variants"] = {"peeky": raw["variants"]["peeky"]}
    raw["tasks"] = {"addition": raw["tasks"]["addition"]}
    raw["tasks"]["addition"]["data"]["seed"] = 7
    del raw["generate"], raw["comparison"]
    assert variant(raw) == whole


def test_every_option_of_params_yaml_has_a_comment_somewhere():
    lines = (ROOT / "params.yaml").read_text().splitlines()
    keys = {}
    for line in lines:
        if ":" in line and not line.lstrip().startswith("#"):
            key = line.split(":")[0].strip()
            keys[key] = keys.get(key, False) or "#" in line
    sections = {"compute", "tasks", "variants", "generate", "comparison", "data", "defaults"}
    sections |= {"references", "checkpoint"}
    names = {"addition", "ptb", *config_variants(lines)}
    self_evident = {"task", "epochs", "kind", "prompts"}
    assert {k for k, has in keys.items() if not has} <= sections | names | self_evident


def config_variants(lines: list[str]) -> set[str]:
    section = lines[lines.index("variants:") + 1 :]
    return {line.strip(" :") for line in section if line.startswith("  ") and line[2] != " "}


def test_every_option_stands_in_params_yaml():
    text = (ROOT / "params.yaml").read_text()
    variants = (config.PairsOptions, config.CorpusOptions)
    sections = (config.Compute, config.Generate, config.Comparison, config.Checkpointing)
    for model in (*variants, *sections):
        for key in model.model_fields:
            assert f"{key}:" in text, key
