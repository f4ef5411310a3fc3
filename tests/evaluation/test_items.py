import numpy as np
import pytest

from unroll.errors import DataError
from unroll.evaluation.items import outcomes, read_items, run_length, sentences, write_items
from unroll.evaluation.statistics import estimate

REMEDY = "run: dvc repro evaluate@v"
RIGHT, LOSSES, COUNTS = np.array([0, 1], np.uint8), np.array([1.5, 2.5]), np.array([3, 4], np.int32)


@pytest.mark.parametrize("items", [{"right": RIGHT}, {"losses": LOSSES, "counts": COUNTS}])
def test_what_is_written_is_read(tmp_path, items):
    write_items(tmp_path, items)
    found = read_items(tmp_path, REMEDY)
    assert found.keys() == items.keys()
    assert all(np.array_equal(found[name], items[name]) for name in items)


@pytest.mark.parametrize(
    ("items", "fault"),
    [
        ({"losses": LOSSES}, "holds losses"),
        ({"right": RIGHT, "confidence": LOSSES[:1]}, "different numbers of items"),
        ({"right": RIGHT + 1}, "right does not hold 0 or 1"),
        ({"right": RIGHT[None]}, "right does not hold 0 or 1"),
        ({"losses": LOSSES.astype(int), "counts": COUNTS}, "losses does not hold a number"),
        ({"losses": LOSSES, "counts": COUNTS - 3}, "counts does not hold the number of tokens"),
        ({"losses": LOSSES * np.inf, "counts": COUNTS}, "a loss is not a finite number"),
    ],
)
def test_what_cannot_be_counted_is_refused_with_the_way_out(tmp_path, items, fault):
    write_items(tmp_path, items)
    with pytest.raises(DataError, match=rf"items\.safetensors.*{fault}.*; {REMEDY}$"):
        read_items(tmp_path, REMEDY)


def test_losses_are_summed_over_each_sentence():
    found = sentences(np.array([1.0, 2.0, 4.0, 8.0]), np.array([3, 0, 5, 0]), eos=0)
    assert found["losses"].tolist() == [3.0, 12.0]
    assert found["counts"].tolist() == [2, 2]


def test_a_text_has_enough_runs_and_a_long_one_long_runs():
    assert [run_length(n) for n in (1, 29, 90, 3_761, 100_000)] == [1, 1, 3, 80, 80]


def test_the_mean_of_a_corpus_is_the_loss_of_a_token():
    random = np.random.default_rng(0)
    counts = random.integers(1, 30, size=500)
    seeds = [{"losses": random.gamma(5, 1, 500) * counts, "counts": counts} for _ in range(3)]
    found = outcomes(seeds)
    assert found.shape == (3, 32)  # runs of 16 sentences
    expected = [items["losses"].sum() / counts.sum() for items in seeds]
    assert found.mean(axis=1) == pytest.approx(expected)


def test_sentences_that_are_alike_in_a_row_widen_the_interval():
    """Where losses drift from article to article, the error is that of articles."""
    random = np.random.default_rng(1)
    counts, drift = np.full(4_000, 20), np.repeat(random.normal(0, 1, 200), 20)
    losses = [20 * (5 + drift + random.normal(0, 1, 4_000)) for _ in range(3)]
    found = estimate(
        outcomes([{"losses": of, "counts": counts} for of in losses]), 0.95, 2_000, random
    )
    assert found.error == pytest.approx(1 / np.sqrt(200), rel=0.25)
