"""The README says what is in reports/ and what the commands do."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_results_are_those_of_reports():
    block = re.search(
        r"<!-- results: (\S+) -->\n(.*?)\n<!-- end of results -->", README, flags=re.DOTALL
    )
    assert (ROOT / block[1]).read_text().strip() == block[2].strip().replace("###", "##")


def test_files_that_the_readme_links_to_exist():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_files_that_readme_and_promises_name_exist():
    """A promise whose test is gone is none."""
    named = {
        name: set(re.findall(r"`((?:src|tests|docs|pipeline|benchmarks)/[\w./-]+)", text))
        for name in ("README.md", "docs/reliability.md")
        if (text := (ROOT / name).read_text())
    }
    assert len(named["docs/reliability.md"]) > 10
    missing = {path for paths in named.values() for path in paths if not (ROOT / path).exists()}
    assert not missing


def test_make_targets_of_the_readme_exist():
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", README))
    defined = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert named <= defined


def test_commands_of_the_readme_exist():
    commands = set(re.findall(r"^\$ unroll ([a-z]+)", README, flags=re.MULTILINE))
    unroll = Path(sys.executable).with_name("unroll")
    listed = subprocess.run([unroll, "--help"], capture_output=True, text=True, check=True).stdout
    assert commands
    assert all(re.search(rf"^  {command} ", listed, flags=re.MULTILINE) for command in commands)
