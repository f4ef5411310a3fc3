"""Names that all can carry: DVC, MLflow, YAML, pandas, a file system."""

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from models.toys import few_examples
from unroll.names import unfit


@pytest.mark.parametrize("name", ["peeky", "2-layers", "a", "GRU_48", "v2-wide", "e3x", "x1"])
def test_names(name):
    assert unfit(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gru.h48", "DVC would look for what is before the dot"),
        ("v2", "MLflow has this name"),
        ("latest", "MLflow has this name"),
        ("champion", "MLflow has this name"),
        ("12", "reads it as something else"),
        ("1e3", "reads it as something else"),
        ("0x1F", "reads it as something else"),
        ("1_000", "reads it as something else"),
        ("2026-11-26", "reads it as something else"),
        ("null", "reads it as something else"),
        ("No", "reads it as something else"),
        ("nan", "reads it as something else"),
        (12, "YAML reads it as int"),
        (None, "YAML reads it as NoneType"),
        ("../evil", "a name may have letters"),
        ("..", "a name may have letters"),
        (".hidden", "a name may have letters"),
        ("-flag", "a name may have letters"),
        ("two words", "a name may have letters"),
        ("größe", "a name may have letters"),
        ("", "a name may have letters"),
    ],
)
def test_what_is_no_name_is_refused_with_the_reason(name, why):
    assert why in unfit(name)


@few_examples
@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,5}", fullmatch=True))
def test_a_name_stays_a_name_in_yaml_and_in_a_table(name):
    if unfit(name) is None:
        for version in ((1, 1), (1, 2)):
            yaml = YAML(typ="safe", pure=True)
            yaml.version = version
            assert yaml.load(f"{name}: 1") == {name: 1}
        table = pd.DataFrame({"variant": [name]})
        read = pd.read_csv(io.StringIO(table.to_csv(index=False)))
        assert read["variant"].tolist() == [name]
