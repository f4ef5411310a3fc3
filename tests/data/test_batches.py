"""Batches are of like length, and of the same shapes in every seed."""

from itertools import chain, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples
from unroll.data.batches import LARGEST, batches, rows_at_once

seeds, epochs = st.integers(0, 2**40), st.integers(0, 1_000)


@st.composite
def sides(draw):
    """Draw the lengths of one or two sides."""
    count = draw(st.integers(1, 60))
    one = st.lists(st.integers(1, 6), min_size=count, max_size=count).map(np.array)
    return draw(st.lists(one, min_size=1, max_size=2))


def drawn(lengths, batch_size, seed, epoch):
    return [batch.tolist() for batch in batches(lengths, batch_size, seed, epoch)]


def keys(lengths, batch):
    """Return the lengths of a batch's examples, sorted."""
    return sorted(tuple(int(side[i]) for side in lengths) for i in batch)


@few_examples
@given(sides(), st.integers(1, 70), seeds, epochs)
def test_all_batches_are_full_and_no_example_comes_twice(lengths, batch_size, seed, epoch):
    count = len(lengths[0])
    found = drawn(lengths, batch_size, seed, epoch)
    size = min(batch_size, count)
    assert [len(batch) for batch in found] == [size] * (count // size)
    examples = [i for batch in found for i in batch]
    assert len(set(examples)) == len(examples)
    assert set(examples) <= set(range(count))


@few_examples
@given(sides(), st.integers(1, 20), seeds, seeds, epochs)
def test_the_shapes_come_one_after_another_alike_in_every_seed(
    lengths, batch_size, one, other, epoch
):
    first, second = (drawn(lengths, batch_size, seed, epoch) for seed in (one, other))
    assert [keys(lengths, batch) for batch in first] == [keys(lengths, batch) for batch in second]


@few_examples
@given(sides(), st.integers(1, 20), seeds, epochs)
def test_the_same_seed_and_epoch_give_the_same_batches(lengths, batch_size, seed, epoch):
    first = drawn(lengths, batch_size, seed, epoch)
    torch.manual_seed(1)
    torch.rand(3)
    assert drawn(lengths, batch_size, seed, epoch) == first


@few_examples
@given(sides(), st.integers(1, 20), seeds, epochs)
def test_a_batch_is_of_like_length(lengths, batch_size, seed, epoch):
    """Put in the order of their lengths, batches begin where the one before ends."""
    found = sorted(keys(lengths, batch) for batch in drawn(lengths, batch_size, seed, epoch))
    for before, after in pairwise(found):
        assert before[-1] <= after[0]


ALIKE = [np.full(50, 3)]


def test_seeds_and_epochs_have_contents_of_their_own():
    found = [drawn(ALIKE, 5, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    contents = {frozenset(map(frozenset, one)) for one in found}
    assert len(contents) == 4


def test_the_order_of_the_shapes_is_another_in_every_epoch():
    lengths = [np.repeat(np.arange(1, 11), 5)]
    orders = {tuple(lengths[0][b[0]] for b in drawn(lengths, 5, 0, epoch)) for epoch in range(5)}
    assert len(orders) == 5
    assert all(sorted(order) == list(range(1, 11)) for order in orders)


@pytest.mark.parametrize("lengths", [ALIKE, [np.arange(50)]], ids=["alike", "all different"])
def test_what_is_left_out_is_another_example_in_every_epoch(lengths):
    left = [set(range(50)) - set(chain(*drawn(lengths, 7, 0, epoch))) for epoch in range(200)]
    assert {len(one) for one in left} == {1}
    often = np.bincount([i for one in left for i in one], minlength=50)
    assert (often > 0).sum() > 40  # 49 of 50 are expected
    assert often.max() < 16  # 4 are expected


def test_an_epoch_of_sequences_of_one_length_is_in_a_random_order():
    """All pairs of neighbours are as likely as others: nothing of the order of the data is left."""
    count = 20
    beside = np.zeros((count, count))
    for epoch in range(1_000):
        order = list(chain(*drawn([np.ones(count, int)], 4, 0, epoch)))
        np.add.at(beside, (order[:-1], order[1:]), 1)
    of_two = beside[~np.eye(count, dtype=bool)]
    expected = 1_000 * (count - 1) / (count * (count - 1))  # 50, standard deviation 7
    assert of_two.mean() == pytest.approx(expected)
    assert of_two.min() > expected - 5 * 7
    assert of_two.max() < expected + 5 * 7


def test_mapped_lengths_do_as_well(tmp_path):
    lengths = np.array([3, 1, 2, 3, 1, 2], dtype=np.int32)
    np.save(tmp_path / "lengths.npy", lengths)
    mapped = np.load(tmp_path / "lengths.npy", mmap_mode="c")
    assert drawn([mapped], 2, 5, 1) == drawn([lengths], 2, 5, 1)


@given(st.integers(1, 10_000), st.integers(1, 1_000_000))
def test_as_many_rows_as_the_logits_may_have_numbers_and_one_at_least(width, symbols):
    rows = rows_at_once(width, symbols)
    assert rows == 1 or rows * width * symbols <= LARGEST
    assert (rows + 1) * width * symbols > LARGEST
