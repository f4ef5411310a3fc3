import numpy as np

from unroll.data.properties import CROSS, Property, crossed, of_bands, of_values


def test_values_become_classes_in_their_order():
    found = of_values("length", [3, 1, 10, 3])
    assert found.labels == ("1", "3", "10")
    assert found.codes.tolist() == [1, 0, 2, 1]


def test_bands_begin_at_their_starts_and_the_last_has_no_end():
    found = of_bands("times", np.array([0, 1, 9, 10, 12_345]), (0, 1, 10, 1_000))
    assert found.labels == ("0", "1–9", "10–999", "1,000–")
    assert found.codes.tolist() == [0, 1, 1, 2, 3]


def test_two_properties_crossed_have_a_class_for_each_of_both():
    length = Property("length", ("1", "2–"), np.array([0, 1, 1, 0]))
    depth = Property("depth", ("a", "b", "c"), np.array([2, 0, 1, 0]))
    found = crossed(length, depth)
    assert found.name == "length × depth"
    assert found.labels == ("1 × a", "1 × b", "1 × c", "2– × a", "2– × b", "2– × c")
    assert found.codes.tolist() == [2, 3, 4, 0]
    for item, label in enumerate(found.labels[code] for code in found.codes):
        one, other = label.split(CROSS)
        assert one == length.labels[length.codes[item]]
        assert other == depth.labels[depth.codes[item]]


def test_a_grid_is_read_by_rows_of_the_first():
    one, other = of_values("x", [1, 2]), of_values("y", [7, 7])
    assert crossed(one, other).labels == ("1 × 7", "2 × 7")
    assert crossed(other, one).labels == ("7 × 1", "7 × 2")
    assert crossed(other, one).name == "y × x"
