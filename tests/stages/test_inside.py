"""`unroll inside` in a study that has really run."""

import pytest

from reporting.pages import Page

pytestmark = pytest.mark.slow


def test_a_page_is_written_where_git_ignores_it_and_nothing_else_is_changed(toy_study, tmp_path):
    study = toy_study.copy(tmp_path / "project")
    before = {path for path in study.folder.rglob("*") if ".git" not in path.parts}
    told = study.run("unroll", "--study", "toy", "inside", "rnnlm")
    assert told == "reports/toy/inside-rnnlm.html: seed 0; it quotes the validation split\n"
    page = study.folder / "reports/toy/inside-rnnlm.html"
    after = {path for path in study.folder.rglob("*") if ".git" not in path.parts}
    assert {path for path in after - before if path.suffix != ".pyc"} == {page}
    assert study.run("git", "status", "--porcelain") == ""
    found = Page(page.read_text())
    titles = [section["id"] for section in found.all("section")]
    assert titles == ["gradients", "matrices", "words", "units", "gates"]
    assert len(found.all("img")) == 1 + 1 + 3
    assert "Inside rnnlm" in found.text and "It was trained without a clip." in found.text
    again = study.run("unroll", "--study", "toy", "inside", "rnnlm", "--output", "look.html")
    assert again.startswith("look.html: ")
    assert (study.folder / "look.html").read_bytes() == page.read_bytes()
