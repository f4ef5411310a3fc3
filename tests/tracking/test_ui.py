"""The MLflow UI in a real browser: what someone sees who types `make ui`."""

import json
import os
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from browser import chromium, needs_chromium
from tracking.states import all_runs, client_of

pytestmark = [pytest.mark.slow, pytest.mark.long, needs_chromium]


@pytest.fixture(scope="module")
def study(toy_study, tmp_path_factory):
    return toy_study.copy(tmp_path_factory.mktemp("ui") / "project")


@pytest.fixture(scope="module")
def ui(study) -> Iterator[str]:
    """Yield the address of the UI, started as `make ui` starts it."""
    in_venv = f"IN_VENV=export PATH='{os.environ['PATH']}' &&"
    make = ("make", "ui", "PORT={port}", in_venv, "READY=")
    with study.served(*make, health="/health") as address:
        yield address


@pytest.fixture
def page(ui) -> Iterator:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(60_000)
        yield page


def test_the_experiment_page_shows_the_variants(study, ui, page):
    experiment = client_of(study.folder).get_experiment_by_name("toy-addition")
    page.goto(f"{ui}/#/experiments/{experiment.experiment_id}/runs")
    for variant in ("baseline", "peeky"):
        page.get_by_role("link", name=variant, exact=True).wait_for()
    page.get_by_text("The variants of the task").first.wait_for()


def test_the_view_of_the_variants_has_them_alone_with_what_they_differ_by(study, ui, page):
    experiment = client_of(study.folder).get_experiment_by_name("toy-addition")
    page.goto(f"{ui}/#/experiments/{experiment.experiment_id}/runs?viewStateShareKey=variants")
    for variant in ("baseline", "peeky"):
        page.get_by_role("link", name=variant, exact=True).wait_for()
    for column in ("exact_match", "decoder"):
        page.get_by_text(column).first.wait_for()
    assert page.get_by_role("link", name="peeky seed 1", exact=True).count() == 0
    assert page.get_by_text("share key").count() == 0  # it was understood


def test_compared_variants_show_parameters_and_metrics_side_by_side(study, ui, page):
    client = client_of(study.folder)
    experiment = client.get_experiment_by_name("toy-addition").experiment_id
    parents = [
        run.info.run_id
        for run in all_runs(client)
        if run.info.experiment_id == experiment and run.data.tags["unroll.level"] == "variant"
    ]
    chosen = f"runs={quote(json.dumps(parents))}&experiments={quote(json.dumps([experiment]))}"
    page.goto(f"{ui}/#/compare-runs?{chosen}")
    page.get_by_text("Comparing 2 Runs from 1 Experiment").wait_for()
    page.get_by_text("Parallel Coordinates Plot").wait_for()
    for name in ("baseline", "peeky", "test/exact_match", "decoder"):
        page.get_by_text(name, exact=True).first.wait_for()
    peeky = client.get_run(parents[0]).data.metrics["test/exact_match"]
    assert f"{peeky:g}"[:5] in page.inner_text("body")


def test_a_run_shows_its_description_and_its_curves(study, ui, page):
    client = client_of(study.folder)
    [run] = [r for r in all_runs(client) if r.info.run_name == "peeky seed 1"]
    page.goto(f"{ui}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}")
    page.get_by_text("on addition, seed 1").first.wait_for()
    page.get_by_text("test/exact_match").first.wait_for()
    page.goto(f"{ui}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/model-metrics")
    for chart in ("character_accuracy", "exact_match"):  # of the section test, which stands first
        page.get_by_text(chart, exact=True).first.wait_for()
