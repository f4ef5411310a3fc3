import pandas as pd
import pytest

from unroll.errors import DataError
from unroll.storage.tables import read_numbers, read_table, write_table


def test_numbers_are_written_with_six_digits_and_gaps_come_back(tmp_path):
    path = tmp_path / "a" / "table.csv"
    write_table(path, pd.DataFrame({"name": ["x", "y"], "value": [1 / 3, float("nan")]}))
    assert path.read_text() == "name,value\nx,0.333333\ny,\n"
    assert read_table(path, ["name", "value"]).isna().sum().tolist() == [0, 1]


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
def test_what_is_not_the_table_is_named(tmp_path, text, fault):
    path = tmp_path / "table.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_table(path, ["name", "value"], numbers=["value"])
    assert str(caught.value).startswith((f"{path} {fault}", f"{path}: {fault}"))


def test_numbers_are_a_row_for_each_value_of_the_keys(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("seed,epoch,value\n0,1,0.1\n0,2,3\n1,1,1e-9\n")
    found = read_numbers(path, ["seed", "epoch"])
    assert found.to_dict("list") == {"seed": [0, 0, 1], "epoch": [1, 2, 1], "value": [0.1, 3, 1e-9]}


@pytest.mark.parametrize(
    "text",
    [
        "seed,value\n0,much\n",
        "seed,value\n0,\n",
        "seed,value\n0,inf\n",
        "seed,value\n0.5,1\n",
        "seed,value\n0,1\n0,2\n",
        "seed,value\n",
        "epoch,value\n0,1\n",
    ],
)
def test_a_table_of_other_than_numbers_is_refused(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_numbers(path, ["seed"])
    expected = f"{path} does not hold a row of numbers for each seed"
    assert str(caught.value) == expected


def test_more_fields_than_columns_are_no_row_of_numbers(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("seed,value\n0,1,2\n")
    with pytest.raises(DataError, match="has rows of more fields than it has columns"):
        read_numbers(path, ["seed"])
