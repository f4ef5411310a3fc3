import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples
from unroll.errors import DataError
from unroll.evaluation.items import (
    NAME,
    Item,
    influences,
    log_ratio,
    outcomes,
    read_items,
    write_items,
)
from unroll.evaluation.statistics import estimate
from unroll.storage.files import write_arrays

RIGHT, LOSSES, COUNTS = np.array([0, 1], np.uint8), np.array([1.5, 2.5]), np.array([3, 4], np.int32)
ONE, OTHER = {"exact_match": Item(RIGHT)}, {"perplexity": Item(LOSSES, COUNTS)}


@pytest.mark.parametrize("items", [ONE, OTHER, {**ONE, **OTHER}])
def test_what_is_written_is_read(tmp_path, items):
    write_items(tmp_path / "seed-0", items)
    found = read_items(tmp_path / "seed-0")
    assert found.keys() == items.keys()
    for name, item in items.items():
        np.testing.assert_array_equal(found[name].values, item.values)
        assert found[name].values.dtype == item.values.dtype
        if item.weights is None:
            assert found[name].weights is None
        else:
            np.testing.assert_array_equal(found[name].weights, item.weights)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({}, "holds nothing"),
        ({"m.weights": COUNTS}, r"holds m\.weights"),
        ({"m": LOSSES, "n.weights": COUNTS}, r"holds m, n\.weights"),
        ({"m": LOSSES[:0]}, "m does not hold a number of each item"),
        ({"m": LOSSES[None]}, "m does not hold a number of each item"),
        ({"m": RIGHT.astype(bool)}, "m does not hold a number of each item"),
        ({"m": LOSSES * np.inf}, "m holds what is not a finite number"),
        ({"m": LOSSES * np.nan}, "m holds what is not a finite number"),
        ({"m": LOSSES, "m.weights": COUNTS[:1]}, "m has no weight for each item"),
        ({"m": LOSSES, "m.weights": COUNTS - 3}, "m has no weight for each item"),
        ({"m": LOSSES, "m.weights": LOSSES}, "m has no weight for each item"),
    ],
)
def test_what_cannot_be_counted_is_refused(tmp_path, arrays, fault):
    write_arrays(tmp_path / NAME, arrays)
    with pytest.raises(DataError, match=rf"items\.safetensors.* {fault}"):
        read_items(tmp_path)


def test_a_missing_and_a_damaged_file_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"items\.safetensors cannot be read"):
        read_items(tmp_path)
    write_items(tmp_path, OTHER)
    raw = (tmp_path / NAME).read_bytes()
    for damaged in (raw[:20], raw[:-1], b"", b"\xff" * len(raw)):
        (tmp_path / NAME).write_bytes(damaged)
        with pytest.raises(DataError, match=r"items\.safetensors"):
            read_items(tmp_path)


def test_without_weights_the_outcomes_are_the_values():
    found = outcomes([Item(RIGHT), Item(1 - RIGHT), Item(RIGHT)])
    assert found.dtype == float
    assert found.tolist() == [[0, 1], [1, 0], [0, 1]]


@few_examples
@given(
    st.lists(
        st.tuples(st.integers(1, 30), st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=20
    )
)
def test_with_weights_each_item_has_its_linear_part_in_the_ratio(rows):
    weights, *seeds = map(np.array, zip(*rows, strict=True))
    found = outcomes([Item(values, weights) for values in seeds])
    for values, of_seed in zip(seeds, found, strict=True):
        ratio = values.sum() / weights.sum()
        expected = ratio + (values - ratio * weights) * len(weights) / weights.sum()
        np.testing.assert_allclose(of_seed, expected, rtol=1e-9, atol=1e-9)
        assert of_seed.mean() == pytest.approx(ratio, rel=1e-9, abs=1e-9)


def test_outcomes_of_given_numbers():
    [found] = outcomes([Item(LOSSES, COUNTS)])  # 4 / 7 a token; 3.5 tokens an item
    assert found == pytest.approx([4 / 7 + (1.5 - 12 / 7) / 3.5, 4 / 7 + (2.5 - 16 / 7) / 3.5])


def test_equal_weights_change_nothing_but_the_unit():
    values = np.array([2.0, 6.0, 1.0])
    assert outcomes([Item(values, np.full(3, 2))])[0] == pytest.approx(values / 2)


def test_the_mean_of_a_ratios_items_is_the_ratio():
    counts = np.array([3, 10, 1, 6])
    losses = np.random.default_rng(4).random((2, 4)) * counts
    found = log_ratio(losses, counts)
    assert found.mean(axis=1) == pytest.approx(losses.sum(axis=1) / 20)
    # Its error is that of a resampling of whole sentences.
    random, draws = np.random.default_rng(5), []
    counts = random.integers(1, 30, size=200)
    losses = random.gamma(5, 1, size=(1, 200)) * counts
    for _ in range(4_000):
        drawn = random.integers(200, size=200)
        draws.append(losses[0, drawn].sum() / counts[drawn].sum())
    linear = log_ratio(losses, counts)[0]
    assert linear.std() / np.sqrt(200) == pytest.approx(np.std(draws), rel=0.05)


def test_items_that_weigh_more_are_not_taken_for_more_items():
    """An interval from items of unequal weight is that of their values over their weights."""
    random = np.random.default_rng(2)
    weights = random.integers(1, 9, size=300)
    seeds = [Item(random.binomial(weights, 0.7), weights) for _ in range(3)]
    found = estimate(outcomes(seeds), 0.95)
    shares = [item.values.sum() / weights.sum() for item in seeds]
    assert found.mean == pytest.approx(np.mean(shares))
    assert found.std == pytest.approx(np.std(shares, ddof=1))


def ratio(sums: np.ndarray) -> float:
    return float(sums[0] / sums[1])


def test_influences_on_a_mean_are_the_items_themselves():
    values = np.array([3.0, 1.0, 7.0, 1.0])
    rows = np.stack([values, np.ones(4)], axis=1)
    assert influences(rows, ratio) == pytest.approx(values)


def test_influences_of_given_numbers():
    """Of (1, 1), (2, 1), (3, 2) the ratio is 1.5; without the rows 5/3, 4/3 and 3/2."""
    found = influences(np.array([[1, 1], [2, 1], [3, 2]]), ratio)
    assert found == pytest.approx([1.5 - 2 / 6, 1.5 + 2 / 6, 1.5])


@few_examples
@given(st.lists(st.tuples(*[st.integers(0, 50)] * 3), min_size=1, max_size=20))
def test_the_mean_of_influences_is_the_measure_of_the_whole(rows):
    counts = np.array(rows)

    def measure(sums: np.ndarray) -> float:  # no linear one
        return float(np.sqrt(sums[0]) * sums[1] / (1 + sums[2]))

    found = influences(counts, measure)
    assert found.shape == (len(rows),)
    assert found.mean() == pytest.approx(measure(counts.sum(axis=0)), rel=1e-9, abs=1e-9)


def test_the_mean_of_influences_on_a_linear_measure_is_the_measure():
    counts = np.array([[1, 2], [5, 0], [0, 3]])
    found = influences(counts, lambda sums: float(sums @ [2, 1]))  # 4, 10 and 3 of 17
    assert found.mean() == pytest.approx(17)
    assert found - found.mean() == pytest.approx(2 * (np.array([4, 10, 3]) - 17 / 3))


def test_one_item_brought_all():
    assert influences(np.array([[3, 4]]), ratio).tolist() == [0.75]


def test_the_spread_of_influences_is_that_of_the_measure_when_items_are_drawn_again():
    random = np.random.default_rng(3)
    weights = random.integers(1, 9, size=300)
    rows = np.stack([random.binomial(weights, 0.7), weights], axis=1)
    again = [ratio(rows[random.integers(300, size=300)].sum(axis=0)) for _ in range(2_000)]
    found = influences(rows, ratio)
    assert found.std(ddof=1) / np.sqrt(300) == pytest.approx(np.std(again), rel=0.1)
