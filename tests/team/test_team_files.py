"""The files of docs/team/ are what they should be: cheap looks, of every day."""

import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from conftest import ROOT
from docs.recipes import Type, steps

TEAM = ROOT / "docs/team"
SCRIPTS = sorted(TEAM.glob("*.sh"))
PAGE = TEAM / "README.md"


def help_of(*command: str) -> str:
    program = Path(sys.executable).with_name("unroll")
    return subprocess.run([program, *command], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_one_of_bash_that_can_be_run(script):
    subprocess.run(["bash", "-n", script], check=True)
    assert script.stat().st_mode & 0o111, "it is not executable"
    if shutil.which("shellcheck"):
        found = subprocess.run(["shellcheck", script], capture_output=True, text=True)
        assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("name", ["serve.sh", "job.sh"])
def test_a_script_says_what_it_does(name):
    told = subprocess.run(
        [TEAM / name, "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "Usage: docs/team/" + name in told
    assert "Examples:" in told
    assert "set -" not in told


def test_commands_of_the_page_and_of_the_scripts_exist():
    text = "\n".join(path.read_text() for path in (PAGE, *SCRIPTS, TEAM / "kubernetes.yaml"))
    listed = help_of("--help")
    typed = {step.command for step in steps(PAGE) if isinstance(step, Type)}
    named = set(re.findall(r"\bunroll (?:--study \w+ )?([a-z]+)$", "\n".join(typed), re.MULTILINE))
    assert "track" in named
    assert all(re.search(rf"^  {command} ", listed, re.MULTILINE) for command in named)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)|\$ make ([a-z-]+)", text))
    assert {a or b for a, b in re.findall(r"`make ([a-z-]+)|\$ make ([a-z-]+)", text)} <= {*targets}
    for path in re.findall(r"docs/team/[\w.-]+|pipeline/[\w/.-]+", text):
        assert (ROOT / path).exists(), path


def test_the_page_links_to_what_is_there_and_names_every_file():
    text = PAGE.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (TEAM / target).exists(), target
    for path in TEAM.iterdir():
        assert path == PAGE or path.name in text, path.name


@pytest.mark.parametrize("name", ["slurm.sh", "slurm-array.sh"])
def test_what_slurm_reads_stands_before_the_first_command(name):
    """It reads no further; and what is asked of it lets a job begin again."""
    head, _, body = (TEAM / name).read_text().partition("\nset -euo pipefail\n")
    assert body and "#SBATCH" not in body
    asked = re.findall(r"^#SBATCH (--[a-z-]+)(?:=(\S+))?$", head, re.MULTILINE)
    assert {("--requeue", ""), ("--open-mode", "append"), ("--signal", "B:USR1@120")} <= {*asked}
    assert body.rstrip().splitlines()[-1].startswith("exec docs/team/job.sh dvc repro")


def test_the_kubernetes_job_goes_on_where_it_was_ended():
    job = YAML(typ="safe").load(TEAM / "kubernetes.yaml")
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "OnFailure"
    assert pod["terminationGracePeriodSeconds"] > 30
    [container] = pod["containers"]
    [mount], [volume] = container["volumeMounts"], pod["volumes"]
    assert mount["name"] == volume["name"]
    assert container["workingDir"].startswith(mount["mountPath"] + "/")
    [line] = container["args"]
    assert container["command"] == ["bash", "-c"]
    assert line == "make setup && exec docs/team/job.sh dvc repro"


def test_no_password_stands_in_the_settings():
    settings = ConfigParser()
    settings.read(TEAM / "basic_auth.ini")
    assert "admin_password" not in settings["mlflow"]
    assert settings["mlflow"]["database_uri"].endswith("///mlflow_auth")


def test_nothing_that_a_team_keeps_gets_into_git():
    kept = [".team/admin-password", ".team/database/PG_VERSION", "unroll-7.log"]
    found = subprocess.run(["git", "check-ignore", *kept], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.split() == kept
