"""Tables as they are found in people's files."""

import pytest

from unroll.data.found import read_rows
from unroll.errors import DataError

BOM = "\ufeff"


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a table and reads its columns text and label."""

    def rows(content: str | bytes, name: str = "a.csv", columns=("text", "label")):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_rows(path, columns)

    return rows


def values(found):
    return [row for row, _ in found[0]]


def places(found):
    return [place.rpartition("/")[2] for _, place in found[0]]


def test_rows_come_in_their_order_with_their_lines(table):
    found = table("text,label\na b,x\nc,y\n")
    assert values(found) == [("a b", "x"), ("c", "y")]
    assert places(found) == ["a.csv, line 2", "a.csv, line 3"]
    assert found[1] == []


def test_in_quotes_stand_commas_quotes_and_line_breaks(table):
    found = table('text,label\n"Hi, ""you""",x\n"two\nlines",y\nlast,z\n')
    assert values(found) == [('Hi, "you"', "x"), ("two\nlines", "y"), ("last", "z")]
    assert places(found) == ["a.csv, line 2", "a.csv, line 4", "a.csv, line 5"]


def test_files_of_other_editors_are_read_and_that_is_noted(table):
    found = table(f'{BOM}text,label\r\na,x\r\n"b\r\nc",y\r\n')
    assert values(found) == [("a", "x"), ("b\nc", "y")]
    assert found[1] == ["a byte order mark at the start", "line ends of Windows"]


def test_a_last_line_needs_no_end(table):
    assert values(table("text,label\na,x")) == [("a", "x")]


def test_with_tabs_a_comma_is_a_comma(table):
    assert values(table("text\tlabel\na, b\tx\n", "a.tsv")) == [("a, b", "x")]
    assert values(table("text,label\na\tb,x\n")) == [("a\tb", "x")]


def test_columns_are_found_by_their_names_wherever_they_stand(table):
    content = " label , id,text\nx,1,a\ny,2,b\n"
    assert values(table(content)) == [("a", "x"), ("b", "y")]
    assert values(table(content, columns=("id",))) == [("1",), ("2",)]
    assert values(table(content, columns=("label", "text", "id"))) == [
        ("x", "a", "1"),
        ("y", "b", "2"),
    ]


def test_rows_of_nothing_are_passed_over_and_lines_are_counted(table):
    found = table("\ntext,label\n\na,x\n,\n\nb,y\n")
    assert values(found) == [("a", "x"), ("b", "y")]
    assert places(found) == ["a.csv, line 4", "a.csv, line 7"]


def test_an_empty_field_is_a_field(table):
    assert values(table("text,label\n,x\na,\n")) == [("", "x"), ("a", "")]


def test_a_header_alone_has_no_rows(table):
    assert table("text,label\n") == ([], [])


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (
            "text,lable",
            r"a\.csv has no column 'label' \(did you mean lable\?\); it has text, lable",
        ),
        ("id,date", r"a\.csv has no column 'text'; it has id, date"),
        ("text,Label ", r"has no column 'label' \(did you mean Label\?\); it has text, Label$"),
        ("text;label", r"has no column 'text'.*; it has text;label$"),
    ],
)
def test_a_missing_column_is_named_with_the_nearest_and_all(table, header, told):
    with pytest.raises(DataError, match=told):
        table(f"{header}\na,x\n")


@pytest.mark.parametrize(
    ("row", "fields"), [("alone", 1), ("a,x,more", 3), ("a,b,c,x", 4), (" ", 1)]
)
def test_a_row_with_other_fields_than_the_first_names_its_line(table, row, fields):
    with pytest.raises(DataError) as caught:
        table(f'text,label\n"a\nb",x\n{row}\n')
    told = f"a.csv, line 4: {fields} fields, but the first row names 2"
    assert str(caught.value).endswith(told)


@pytest.mark.parametrize("content", ["", "\n", "\r\n\r\n", BOM, ",\n"])
def test_an_empty_file_is_refused(table, content):
    with pytest.raises(DataError, match=r"a\.csv is empty$"):
        table(content)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(f"text,label\n{'a' * 200_000},x\n", "line 2: field larger than", id="large"),
        pytest.param('text,label\na,x\n"b,y\nc,z\n', r"a\.csv, line \d: ", id="open quote"),
        pytest.param("text,label\na\rb,x\n", "line 2: new-line", id="lone carriage return"),
        pytest.param(b"text,label\na,x\nb\xe9,y\n", "line 3: not UTF-8", id="latin 1"),
        pytest.param("text,label\na,x\n".encode("utf-16"), "not UTF-8", id="utf-16"),
    ],
)
def test_what_is_no_table_is_refused_with_the_line(table, content, told):
    with pytest.raises(DataError, match=told):
        table(content)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv cannot be read"):
        read_rows(tmp_path / "nowhere.csv", ["text"])
