"""The report of the quick study in a real browser."""

from collections.abc import Iterator
from typing import Any

import pytest

from browser import chromium, needs_chromium

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_the_report_opens_without_network_and_fits_the_screen(quick_study, browser, width, scheme):
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page, faults = context.new_page(), []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(request.url))
    page.goto((quick_study.folder / "reports/quick/report.html").as_uri())
    for details in page.locator("details").all():
        details.locator("summary").first.click()
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    figures = page.evaluate(
        "[...document.querySelectorAll('figure img')].map(i => [i.alt, i.naturalWidth])"
    )
    assert len(figures) >= 15
    assert all(alt and drawn for alt, drawn in figures)
    assert not faults
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    context.close()
