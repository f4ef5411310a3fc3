"""Log-probabilities of single tokens, as a file."""

import numpy as np
import pytest

from unroll.errors import DataError
from unroll.evaluation.tokens import read_tokens, write_tokens
from unroll.storage.files import write_arrays

FOUND = {"perplexity": np.log([0.5, 0.001, 1.0]), "perplexity_cache": np.log([0.25, 0.1, 0.9])}


def test_they_are_read_as_they_were_written_to_three_digits(tmp_path):
    write_tokens(tmp_path, FOUND)
    found = read_tokens(tmp_path)
    assert found.keys() == FOUND.keys()
    for name, expected in FOUND.items():
        np.testing.assert_allclose(found[name], expected, rtol=5e-4)
    assert (tmp_path / "tokens.safetensors").stat().st_size < 300


@pytest.mark.parametrize(
    "arrays",
    [{}, {"perplexity": np.zeros((2, 2), np.float16)}, {"perplexity": np.zeros(2, np.float32)}],
    ids=["nothing", "of another shape", "of other numbers"],
)
def test_what_is_no_such_file_is_refused(arrays, tmp_path):
    write_arrays(tmp_path / "tokens.safetensors", arrays)
    with pytest.raises(DataError, match=r"tokens\.safetensors holds no log-prob"):
        read_tokens(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"tokens\.safetensors cannot be read"):
        read_tokens(tmp_path)
