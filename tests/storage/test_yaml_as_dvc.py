"""YAML as DVC reads it: else one would train with a value, and the other note another."""

import pytest
from dvc.utils.serialize import load_yaml

from unroll.errors import UserError
from unroll.storage.yaml import read_yaml


def test_a_file_is_read_as_by_dvc(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(
        "a: [yes, no, on, 1:30, 012, 0o14, 0x1F, 1e3, 1.e3, 1_000, ~, .inf, 2001-01-01, '3']\n"
        "b: &b {x: 1}\nc: {<<: *b, y: 2}\n"
    )
    assert read_yaml(path) == load_yaml(str(path))


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.getcwd []\n", "[" * 10_000])
def test_code_and_what_has_no_bottom_are_refused(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"is not valid YAML|nested too deeply"):
        read_yaml(path)
