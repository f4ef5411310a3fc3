"""Every command that the README and the pages of docs/ name runs, at toy size."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from conftest import ROOT, Checkout, make_checkout
from docs.recipes import Type, steps

pytestmark = [pytest.mark.slow, pytest.mark.long]

# What other tests run, or what runs this one.
ELSEWHERE = {
    r"make (quick|repro|test|test-long|ui|team|gpu|benchmark|format|setup)\b": "Makefile",
    r"mlflow models serve|curl ": "tests/test_serving.py",
    r"\.venv/bin/pre-commit install": ".pre-commit-config.yaml",
    r"UNROLL_\w+=\S+ pytest": "tests/faults/test_failing_files.py",
    r"python benchmarks/": "tests/test_benchmarks.py",
    r"export DVC_SITE_CACHE_DIR": "docs/reliability.md",  # it would move the cache of who tests
}
PAGES = [ROOT / "README.md", ROOT / "docs/run-record.md", ROOT / "docs/reliability.md"]
# The strictest first: what others run again, they take from its cache.
LOCALES = ["de_DE.ISO-8859-1", "C", "ko_KR.EUC-KR"]
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


def typed(checkout: Checkout, page: Path, environment: dict[str, str]) -> list[str]:
    """Type a page's commands in their order, the output going into a file; return them."""
    checkout.run("git", "checkout", "--quiet", "--", "params.yaml")
    commands = [
        command.replace("--open", "").replace(
            "the meaning of life is", "the"
        )  # of which the grammar has one word
        for command in documented(page)
        if not any(re.match(known, command) for known in ELSEWHERE)
    ]
    output = checkout.folder.parent / "output.txt"
    for command in commands:
        line = f"{{ {command}; }} > {output} 2>&1 || {{ cat {output}; exit 1; }}"
        checkout.run("bash", "-c", line, env=environment)
        assert "Traceback" not in output.read_text("utf-8", "replace"), command
    return commands


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_documented_commands_run(toy_root, page):
    typed(toy_root, page, {})


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the locales of which the next test tells: few machines have them."""
    folder = tmp_path_factory.mktemp("locales")
    if not Path("/usr/share/i18n/locales").is_dir():
        pytest.skip("there is nothing to make locales of (Debian's package locales)")
    for name in set(LOCALES) - {"C"}:
        language, _, charmap = name.partition(".")
        made = ["localedef", "--no-archive", "-i", language, "-f", charmap, str(folder / name)]
        subprocess.run(made, check=True)
    return folder


@pytest.fixture(scope="module")
def cache(toy_root, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of DVC's that checkouts share, as a team would."""
    shared = tmp_path_factory.mktemp("shared") / "cache"
    shutil.copytree(toy_root.folder / ".dvc/cache", shared)
    return shared


@pytest.mark.parametrize("locale", LOCALES)
def test_the_readme_is_typed_in_any_locale(toy_root, locales, cache, locale, tmp_path):
    checkout = Checkout(tmp_path / "project")
    shutil.copytree(toy_root.folder, checkout.folder, symlinks=True)
    checkout.run("dvc", "cache", "dir", "--local", str(cache))
    environment = {"LC_ALL": locale, "LANG": locale, "LOCPATH": str(locales)}
    commands = typed(checkout, PAGES[0], environment)
    assert len(commands) > 20
    report = (checkout.folder / "reports/report.html").read_bytes()
    assert "±".encode() in report
