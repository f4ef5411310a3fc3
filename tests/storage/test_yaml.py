"""YAML is read as DVC reads it, and nothing of it is larger than it looks."""

import pytest

from unroll.errors import UserError
from unroll.storage.yaml import LARGEST_FILE, MOST_VALUES, read_yaml


def read(tmp_path, content):
    path = tmp_path / "a.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml(path)


def refused(tmp_path, content):
    with pytest.raises(UserError) as caught:
        read(tmp_path, content)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "a.yaml"))
    return message.removeprefix(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("a: 1\nb: [x, 0.5, null]\n", {"a": 1, "b": ["x", 0.5, None]}),
        ("no", "no"),  # as in DVC: YAML 1.2, in which it is a word
        ("a: 010", {"a": 10}),
        ("a: 1e-3", {"a": 0.001}),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}\n", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("", None),
        ("ö: ☑", {"ö": "☑"}),
    ],
)
def test_values_are_those_of_yaml(tmp_path, content, value):
    assert read(tmp_path, content) == value


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("a: [", " is not valid YAML: "),
        ("a: 1\na: 2\n", " is not valid YAML: "),
        ("a: !!python/object/apply:os.system [ls]\n", " is not valid YAML: "),
        ("a: *x\n", " is not valid YAML: "),
        (b"a: \xff\n", " is not valid YAML: "),
        ("a: 2024-13-45\n", " cannot be read: month must be in 1..12"),
        ("[" * 5_000 + "]" * 5_000, " cannot be read: it is nested too deeply"),
    ],
    ids=["no end", "key twice", "object", "no anchor", "not UTF-8", "no date", "deep"],
)
def test_what_is_no_yaml_is_named(tmp_path, content, fault):
    assert refused(tmp_path, content).startswith(fault)


def test_place_of_a_fault_is_told_without_advice_about_the_library(tmp_path):
    message = refused(tmp_path, "a: 1\nb: 2\na: 3\n")
    assert "line 3" in message
    assert "suppress" not in message


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"a\.yaml cannot be read: No such file or directory$"):
        read_yaml(tmp_path / "a.yaml")


def test_folder_in_place_of_a_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read: Is a directory$"):
        read_yaml(tmp_path)


def test_file_of_the_largest_size_is_read_and_a_larger_one_refused(tmp_path):
    assert read(tmp_path, "a: 1 #".ljust(LARGEST_FILE, "x")) == {"a": 1}
    assert (
        refused(tmp_path, "a: 1 #".ljust(LARGEST_FILE + 1, "x")) == " has more than 500,000 bytes"
    )


def doubled(form):
    """Return a text in which each line stands twice for the one before: 2 to the 60 values."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {form.format(n - 1, n - 1)}" for n in range(1, 60)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "content",
    [doubled("[*a{}, *a{}]"), doubled("{{<<: [*a{}, *a{}]}}"), "a: &a [*a]\n", "&a {*a : 1}\n"],
    ids=["aliases of aliases", "merged", "an alias in itself", "a key in itself"],
)
def test_aliases_that_have_no_end_are_not_written_out(tmp_path, content):
    assert refused(tmp_path, content) == " has more than 100,000 values"


def test_as_many_values_as_there_may_be_are_read(tmp_path):
    tens = ", ".join(["x"] * 9)  # with their list, ten values
    aliases = ", ".join(["*a"] * (MOST_VALUES // 10 - 2))
    # 1 for all, 1 and 10 for the first key, 1 for the second; what is left is for its list
    content = f"a: &a [{tens}]\nb: [{aliases}, {{more}}]\n"
    left = MOST_VALUES - (1 + 1 + 10 + 1) - 1 - 10 * (MOST_VALUES // 10 - 2)
    assert len(read(tmp_path, content.format(more=", ".join("y" * left)))["b"]) > 9_000
    assert refused(tmp_path, content.format(more=", ".join("y" * (left + 1)))) == (
        " has more than 100,000 values"
    )
