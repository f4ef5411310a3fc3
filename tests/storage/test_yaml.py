"""YAML as DVC reads it, within bounds."""

from pathlib import Path

import pytest

from unroll.errors import UserError
from unroll.storage.yaml import LARGEST_FILE, MOST_VALUES, read_yaml


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("params.yaml")


def read(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml(path)


def doubled(entry):
    """Return a file of forty lines, each of which holds the one before twice."""
    lines = (f"a{i}: &a{i} {entry.format(i - 1, i - 1)}\n" for i in range(1, 40))
    return ("a0: &a0 {x: 1}\n" + "".join(lines)).encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("- 1\n", [1]),
        ("a: {b: [1, 2.5, x, null, true]}\n", {"a": {"b": [1, 2.5, "x", None, True]}}),
        ("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n", {"a": {"x": 1}, "b": {"x": 1},
                                                      "c": {"x": 1, "y": 2}}),
        # YAML 1.2, as DVC: these are words and numbers where others see truth and times.
        ("a: [yes, off, 1:30, 012, 1e-3, 1_000]\n", {"a": ["yes", "off", "1:30", 12, 0.001, 1000]}),
        ("a: naïve ☑\n", {"a": "naïve ☑"}),
    ],
    ids=["nothing", "a list", "all types", "aliases", "as DVC", "symbols"],
)  # fmt: skip
def test_a_file_is_read(path, text, value):
    assert read(path, text) == value


def test_a_file_is_read_as_by_dvc(path):
    """Else one would train with a value, and the other note another."""
    from dvc.utils.serialize import load_yaml

    text = "a: [yes, no, on, 1:30, 012, 0o14, 0x1F, 1e3, 1.e3, 1_000, ~, .inf, 2001-01-01, '3']\n"
    assert read(path, text) == load_yaml(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"compute: [", r"(?s)params\.yaml is not valid YAML: .*line 1"),
        (b"compute:\n  threads: 1\n  threads: 2\n", r"(?s)not valid YAML: .*threads"),
        (b"compute: \xff\n", r"params\.yaml is not valid YAML: .*00ff"),
        (b"compute: !!python/object/apply:os.getcwd []\n", r"params\.yaml is not valid YAML: "),
        (b"compute: 2024-13-45\n", r"params\.yaml cannot be read: month must be in 1\.\.12"),
        (doubled("[*a{}, *a{}]"), r"params\.yaml has more than 100,000 values"),
        (doubled("{{<<: [*a{}, *a{}]}}"), r"params\.yaml has more than 100,000 values"),
        (b"compute: &a [*a]\n", r"params\.yaml has more than 100,000 values"),
        (b"#" * 500_001, r"params\.yaml has more than 500,000 bytes"),
        (b"[" * 10_000, r"params\.yaml cannot be read: it is nested too deeply"),
    ],
    ids=[
        "unclosed",
        "key twice",
        "not UTF-8",
        "code",
        "no such date",
        "aliases of aliases",
        "merged aliases of aliases",
        "an alias in itself",
        "large",
        "deep",
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_a_few_words(path, content, message):
    with pytest.raises(UserError, match=message) as caught:
        read(path, content)
    assert "To suppress" not in str(caught.value)


def test_a_missing_file_is_named(path):
    with pytest.raises(
        UserError, match=r"^params\.yaml cannot be read: No such file or directory$"
    ):
        read_yaml(path)


def test_the_bounds_themselves_are_taken(path):
    assert read(path, b"#" * LARGEST_FILE) is None
    # The list is a value too, and so is what holds it.
    inner = MOST_VALUES - 1
    assert len(read(path, "[" + "1," * inner + "]")) == inner
    with pytest.raises(UserError, match="more than 100,000 values"):
        read(path, "[" + "1," * MOST_VALUES + "]")
