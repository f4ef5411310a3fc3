"""Every command that the README and the pages of docs/ name runs, at toy size."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from conftest import ROOT, Checkout, make_checkout
from docs.recipes import Type, steps

pytestmark = [pytest.mark.slow, pytest.mark.long]

# What other tests run, or what runs this one.
ELSEWHERE = {
    r"make (quick|repro|test|test-long|ui|gpu|format|setup)\b": "Makefile",
    r"mlflow models serve|curl ": "tests/test_serving.py",
    r"\.venv/bin/pre-commit install": ".pre-commit-config.yaml",
    r"UNROLL_\w+=\S+ pytest": "tests/faults/test_failing_files.py",
    r"python benchmarks/": "tests/test_benchmarks.py",
    r"export DVC_SITE_CACHE_DIR": "docs/reliability.md",  # it would move the cache of who tests
}
PAGES = [ROOT / "README.md", ROOT / "docs/run-record.md", ROOT / "docs/reliability.md"]
VARIANTS = ("baseline", "reversed", "peeky", "rnnlm", "better-rnnlm")
TOY = {"seeds": [10], "epochs": 1, "hidden_size": 8, "embedding_size": 8, "batch_size": 20}


def documented(page: Path) -> list[str]:
    lines = [step.command for step in steps(page) if isinstance(step, Type)]
    return [line for line in lines if line and not line.startswith("#")]


def test_what_is_said_to_run_elsewhere_is_there():
    for place in ELSEWHERE.values():
        assert (ROOT / place).is_file(), place
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in PAGES:
        for command in documented(page):
            if command.startswith("make "):
                assert command.split()[1] in targets, command


@pytest.fixture(scope="module")
def toy_root(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Return a checkout whose root study has run at toy size, without the Penn Treebank."""
    checkout = make_checkout(tmp_path_factory.mktemp("root") / "project")
    # Without its comments: they would stand where they belong to nothing.
    path, yaml = checkout.folder / "params.yaml", YAML(typ="safe")
    yaml.default_flow_style = False
    params = yaml.load(path.read_text())
    params["tasks"]["addition"]["data"] |= {"train": 60, "valid": 20, "test": 20}
    params["tasks"]["ptb"]["data"] |= {"source": "grammar", "sentences": 300}
    for task in params["tasks"].values():
        task["defaults"] |= TOY
    for name in list(params["variants"]):
        if name not in VARIANTS:
            del params["variants"][name]
    params["variants"]["better-rnnlm"] |= TOY
    params["comparison"].pop("references")
    params["generate"] |= {"prompts": ["you"], "length": 5}
    with path.open("w") as file:
        yaml.dump(params, file)
    checkout.run("dvc", "repro")
    checkout.run("git", "add", "--all")
    checkout.run("git", "commit", "--quiet", "--message", "toy root study")
    return checkout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_commands_run(toy_root, page):
    toy_root.run("git", "checkout", "--quiet", "--", "params.yaml")
    ran = 0
    for command in documented(page):
        if any(re.match(known, command) for known in ELSEWHERE):
            continue
        command = command.replace("--open", "").replace("seed-0", "seed-10")
        command = command.replace("the meaning of life is", "the").replace("57+5", "57+5")
        toy_root.run("bash", "-c", command)
        ran += 1
    assert ran or page.name != "README.md"
