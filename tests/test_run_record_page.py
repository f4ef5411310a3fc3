"""docs/run-record.md names every file and every field."""

from dataclasses import fields
from pathlib import Path

import pytest

from unroll import circumstances, record
from unroll.evaluation.scores import COLUMNS

PAGE = (Path(__file__).parents[1] / "docs/run-record.md").read_text()


@pytest.mark.parametrize(
    "name",
    [
        *("schema", "key", "study", "variant", "seed", "kind", "options"),
        *(f for f in record.RunDocument.model_fields if f != "schema_version"),
        *record.PairsForm.model_fields,
        *record.FactsDocument.model_fields,
        *record.VocabularyDocument.model_fields,
        *circumstances.Source.model_fields,
        *(field.name for field in fields(circumstances.EpochTiming)),
        *(field.name for field in fields(circumstances.RunTiming)),
        *COLUMNS,
    ],
)
def test_every_field_is_described(name):
    assert f"`{name}`" in PAGE


def test_every_file_of_a_record_is_described(tmp_path):
    from models.toys import DIGITS, pairs_options, seq2seq, subject
    from test_record import HISTORY

    form = {"source_length": 4, "target_length": 5, "start": "_"}
    written = record.Record(subject(pairs_options()), 0, 1, form, DIGITS, HISTORY)
    record.write_record(tmp_path / "seed-0", written, seq2seq())
    for file in (tmp_path / "seed-0").iterdir():
        assert f"`{file.name}`" in PAGE
