"""Pages that lead through something are followed to the letter."""

from pathlib import Path

import pytest

from conftest import ROOT, make_checkout
from docs.recipes import Write, steps

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.mark.parametrize(
    ("page", "study"), [("add-a-study.md", "small"), ("add-a-task.md", "backwards")]
)
def test_a_page_leads_where_it_says(page, study, tmp_path):
    checkout = make_checkout(tmp_path / "project")
    ours = {"PYTHONPATH": str(checkout.folder / "src")}  # the page adds a file to the sources
    taken = steps(ROOT / "docs" / page)
    assert any(isinstance(step, Write) for step in taken)
    for step in taken:
        if isinstance(step, Write):
            path = checkout.folder / step.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text)
        else:
            checkout.run("bash", "-c", step.command, env=ours)
    reports = checkout.folder / "reports" / study
    assert "baseline" in (reports / "comparison.md").read_text()
    assert (reports / "report.html").is_file()
    staged = checkout.run("git", "status", "--short")
    assert not [
        line for line in staged.splitlines() if Path(line[3:]).name == "weights.safetensors"
    ]


def test_the_page_of_sweeps_leads_to_a_command_that_trains_the_best(tmp_path):
    checkout = make_checkout(tmp_path / "project")
    for step in steps(ROOT / "docs/sweep.md"):
        if isinstance(step, Write):
            (checkout.folder / step.path).write_text(step.text)
        else:
            told = checkout.run("bash", "-c", step.command)
    command = told[told.index("dvc exp run") :].replace("exp run", "exp run --queue", 1)
    assert "Queued experiment" in checkout.run("bash", "-c", command)
    again = checkout.run("git", "status", "--short").splitlines()
    assert [line for line in again if "data" in line or "reports" in line] == []


def test_a_task_of_one_file_is_within_the_length_that_the_page_promises():
    [task] = [
        s
        for s in steps(ROOT / "docs/add-a-task.md")
        if isinstance(s, Write) and s.path.endswith(".py")
    ]
    assert len(task.text.splitlines()) <= 35
