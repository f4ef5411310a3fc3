"""A page of results, and what of it can be asked."""

from collections.abc import Sequence
from html.parser import HTMLParser

from reporting.made import Asked
from unroll.reporting.breakdowns import together
from unroll.reporting.comparison import compare, judge
from unroll.reporting.curves import curves
from unroll.reporting.factors import design, effects_of, learned
from unroll.reporting.page import TaskTables, page

VOID = {"meta", "link", "img", "br", "hr"}


class Page(HTMLParser):
    """The elements and the text of a page, whose elements must be closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.texts))

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


class Study(Asked):
    """A study as the page asks it."""

    repro = "dvc repro pipeline/toy/dvc.yaml"

    class reports:  # noqa: N801
        @staticmethod
        def as_posix() -> str:
            return "reports/toy"

    @staticmethod
    def rerun(stage: str) -> str:
        return f"run: dvc repro pipeline/toy/dvc.yaml:{stage}"


def rendered(tasks: dict[str, dict], factors: Sequence[str] = (), **references: str) -> Page:
    study, made = Study(**references), []
    for name, results in tasks.items():
        verdicts = judge(study, results)
        kind = next(iter(results.values())).kind
        found = design(factors, results, kind.deciding)
        made.append(
            TaskTables(
                name=name,
                results=results,
                comparison=compare(study, results, verdicts),
                verdicts=verdicts,
                curves=curves(results, 10),
                breakdown=together(results),
                effects=effects_of(name, kind, found, study.comparison.confidence),
                learned=learned(kind, found),
            )
        )
    return Page(page(study, made))
