"""docs/run-record.md names every file and every field, and no file that there is not."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from runs.evaluated import evaluated_study
from unroll.data.vocabulary import SPECIAL, Vocabulary
from unroll.evaluation import breakdown
from unroll.evaluation.maps import Map
from unroll.evaluation.scores import COLUMNS
from unroll.kinds import named
from unroll.options import OPTIONS
from unroll.runs import circumstances, record
from unroll.runs.subject import Subject
from unroll.storage.files import read_json
from unroll.study import Study
from unroll.training.machine import Machine

PAGE = (Path(__file__).parents[1] / "docs/run-record.md").read_text()


def section(title: str) -> str:
    """Return the part of the page below a heading that begins so."""
    return PAGE.partition(f"\n## {title}")[2].partition("\n## ")[0]


RECORD = section("data/models/VARIANT/seed-N")
CIRCUMSTANCES = section("data/circumstances/VARIANT/seed-N")
EVALUATION = section("data/evaluation/VARIANT")
SECTIONS = {"model": RECORD, "circumstances": CIRCUMSTANCES, "evaluation": EVALUATION}

FORMS = [named(kind).Form for kind in OPTIONS]


@pytest.mark.parametrize(
    ("part", "name"),
    [
        *((RECORD, f.alias or name) for name, f in record.RunDocument.model_fields.items()),
        *((RECORD, name) for name in record.FactsDocument.model_fields),
        *((RECORD, name) for name in Machine("cpu", "float32", 1).environment()),
        *((RECORD, name) for form in FORMS for name in form.model_fields),
        *((RECORD, name) for name in (*Vocabulary.model_fields, *SPECIAL)),
        *((RECORD, kind) for kind in OPTIONS),
        *((CIRCUMSTANCES, name) for name in circumstances.Session.model_fields),
        *((CIRCUMSTANCES, name) for name in circumstances.Source.model_fields),
        *((CIRCUMSTANCES, field.name) for field in fields(circumstances.EpochTiming)),
        *((EVALUATION, name) for name in (*COLUMNS, *breakdown.COLUMNS, *Map.model_fields)),
        *((EVALUATION, metric.name) for kind in OPTIONS for metric in named(kind).metrics),
    ],
)  # fmt: skip
def test_every_field_is_described(part, name):
    assert f"`{name}`" in part


def test_the_schema_is_named():
    assert f"Schema {record.SCHEMA};" in PAGE
    assert f"| `schema` | {record.SCHEMA};" in RECORD


def test_what_the_key_is_a_digest_of_is_named():
    """All fields of a subject, and the seed."""
    told = PAGE.partition("is a digest of all that determines a run:")[2].partition(".")[0]
    for field in fields(Subject):
        assert field.name in told
    assert " seed," in told.replace("\n", " ")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        yield evaluated_study()


def described(part: str) -> set[str]:
    """Return the files in the first column of a part's first table."""
    table = part.partition("| file | holds |")[2].partition("\n\n")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for cell in first for name in re.findall(r"`(.+?)`", cell)}


def written(folder: Path) -> set[str]:
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    return {re.sub(r"^seed-\d+/", "seed-N/", name) for name in names}


@pytest.mark.parametrize("place", SECTIONS)
def test_the_files_are_those_that_are_described(study, place):
    """Maps are left by attention, notes by texts, settings by methods of language models."""
    of = getattr(study, place)
    folder = of("attention")
    found = set().union(*(written(of(name)) for name in ("attention", "translator", "writer")))
    if place != "evaluation":
        found = {name.removeprefix("seed-N/") for name in found}
    assert found == described(SECTIONS[place])
    assert f"## {folder.parent.as_posix()}/VARIANT" in PAGE


def test_the_fields_are_those_that_are_written(study):
    folder = study.model("attention") / "seed-0"
    for name, part in (("run.json", RECORD), ("form.json", RECORD), ("facts.json", RECORD)):
        assert all(f"`{field}`" in part for field in read_json(folder / name))
    session = read_json(study.circumstances("attention") / "seed-0/session.json")
    assert all(f"`{field}`" in CIRCUMSTANCES for field in (*session, *session["source"]))
    counts = read_json(study.evaluation("attention") / "counts.json")
    assert all(f"`{field}`" in EVALUATION for field in counts)
