"""What was found inside a model, as a file."""

import json

import numpy as np
import pytest

from unroll.errors import DataError
from unroll.evaluation.inside import Influence, Inside, Saturation, Spectrum
from unroll.evaluation.looks import read_inside, write_inside

FOUND = Inside(
    reach={"trained": 0.9 ** np.arange(36), "a first": np.full(36, 0.123456)},
    norms=np.array([0.5, 2.0]),
    spectra=[
        Spectrum(1, "input", np.array([1.0, 0.5]), np.array([2.0, 0.25])),
        Spectrum(1, "candidate", np.array([1.5, 0.5]), np.array([2.5, 0.25])),
        Spectrum(2, "input", np.array([3.0, 0.5]), np.array([3.5, 0.0])),
    ],
    influences=[Influence(["SECRET"], np.array([1.0]), "SECRET", 0.5, "SECRET")],
    units=[],
    absent=["a quotation is open"],
    saturations=[Saturation(1, "forget", np.array([0.0, 1.0]), np.array([0.25, 0.0]))],
)


def test_numbers_are_read_as_they_were_written_in_their_order(tmp_path):
    write_inside(tmp_path, FOUND)
    found = read_inside(tmp_path)
    assert list(found.reach) == ["trained", "a first"]
    np.testing.assert_allclose(found.trained, FOUND.trained, rtol=1e-4)
    assert found.reach["a first"][0] == 0.12346
    assert found.norms.tolist() == [0.5, 2.0]
    assert [(of.layer, of.part) for of in found.spectra] == [
        (1, "input"), (1, "candidate"), (2, "input"),
    ]  # fmt: skip
    for one, other in zip(found.spectra, FOUND.spectra, strict=True):
        assert one.first.tolist() == other.first.tolist()
        assert one.trained.tolist() == other.trained.tolist()
    (gate,) = found.saturations
    assert (gate.layer, gate.gate) == (1, "forget")
    assert (gate.low.tolist(), gate.high.tolist()) == ([0.0, 1.0], [0.25, 0.0])


def test_nothing_of_the_text_is_written(tmp_path):
    write_inside(tmp_path, FOUND)
    assert "SECRET" not in (tmp_path / "inside.json").read_text()
    found = read_inside(tmp_path)
    assert not (found.influences or found.units or found.absent)


def test_where_no_one_looked_there_is_nothing(tmp_path):
    assert read_inside(tmp_path) is None


def changed(**parts):
    def change(content):
        return {**content, **parts}

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda content: {},
        changed(reach={}),
        changed(reach={"a first": [1.0] * 36}),
        changed(reach={"trained": [1.0] * 35}),
        changed(reach={"trained": [0.0] * 36}),
        changed(norms=[]),
        changed(norms=[-1.0]),
        changed(norms=["many"]),
        changed(matrices=[]),
        changed(matrices=[{"layer": 0, "part": "input", "first": [1.0], "trained": [1.0]}]),
        changed(gates=[{"layer": 1, "gate": "input", "low": [1.5], "high": [0.0]}]),
        changed(more=1),
    ],
)
def test_a_file_of_something_else_is_refused(change, tmp_path):
    write_inside(tmp_path, FOUND)
    path = tmp_path / "inside.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=r"inside\.json does not hold what was found in a model"):
        read_inside(tmp_path)
