import numpy as np

from unroll.data.properties import of_bands, of_values


def test_values_become_classes_in_their_order():
    found = of_values("length", [3, 1, 10, 3])
    assert found.labels == ("1", "3", "10")
    assert found.codes.tolist() == [1, 0, 2, 1]


def test_bands_begin_at_their_starts_and_the_last_has_no_end():
    found = of_bands("times", np.array([0, 1, 9, 10, 12_345]), (0, 1, 10, 1_000))
    assert found.labels == ("0", "1–9", "10–999", "1,000–")
    assert found.codes.tolist() == [0, 1, 1, 2, 3]
