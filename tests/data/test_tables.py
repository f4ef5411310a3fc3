import pandas as pd
import pytest

from unroll.data.tables import read_table, write_table
from unroll.errors import DataError


def test_numbers_are_written_with_six_digits_and_gaps_come_back(tmp_path):
    path = tmp_path / "a" / "table.csv"
    write_table(path, pd.DataFrame({"name": ["x", "y"], "value": [1 / 3, float("nan")]}))
    assert path.read_text() == "name,value\nx,0.333333\ny,\n"
    assert read_table(path, ["name", "value"], "").isna().sum().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "cannot be read"),
        ("", "cannot be read"),
        ("a\n1,2\n3,4,5\n", "cannot be read"),
        ("name,worth\nx,1\n", "has the columns name, worth"),
        ("name,value\nx,1,2\ny,3,4\n", "has rows of more fields than it has columns"),
        ("name,value\nx,much\n", "the column value holds more than numbers"),
    ],
)
def test_what_is_not_the_table_is_named_with_the_way_out(tmp_path, text, fault):
    path = tmp_path / "table.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_table(path, ["name", "value"], "run: dvc repro", numbers=["value"])
    assert str(caught.value).startswith((f"{path} {fault}", f"{path}: {fault}"))
    assert str(caught.value).endswith("; run: dvc repro")
