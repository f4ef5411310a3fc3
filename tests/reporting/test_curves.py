import pytest

from reporting.made import pairs_result
from unroll.reporting.curves import curves


def test_curves_hold_mean_and_range_of_the_seeds_and_what_they_cost():
    peeky = pairs_result([1, 0, 0, 0], [1, 1, 1, 0])  # half of it on validation
    table = curves({"peeky": peeky, "other": pairs_result([1])}, examples=50)
    first = table[table["variant"] == "peeky"]
    assert first["valid_exact_match"].tolist() == pytest.approx([0.125, 0.25])
    assert first["min"].tolist() == [0.0625, 0.125]
    assert first["max"].tolist() == [0.1875, 0.375]
    assert first["examples"].tolist() == [50, 100]
    assert first["seconds"].tolist() == [2.0, 4.0]  # 1.5 and 2.5 seconds an epoch
    assert table["variant"].tolist() == ["peeky", "peeky", "other", "other"]
