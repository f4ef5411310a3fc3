import numpy as np
import pytest
import torch

from unroll.data.sequences import Sequences
from unroll.models.padding import PADDINGS
from unroll.models.side import Side

LENGTHS = [2, 4, 1, 4, 2]
IDS = np.array([[7, 7, 0, 0], [1, 2, 3, 4], [5, 0, 0, 0], [4, 3, 2, 1], [8, 8, 0, 0]], np.int32)


def side(padding: str) -> Side:
    return Side(Sequences(IDS, np.array(LENGTHS, np.int32)), PADDINGS[padding], "cpu")


def test_masked_batches_are_as_wide_as_their_longest_and_tell_the_lengths():
    ids, lengths = side("masked").read(torch.tensor([4, 2]))
    assert ids.tolist() == [[8, 8], [5, 0]] and ids.dtype == torch.long
    assert lengths.tolist() == [2, 1]


def test_plain_batches_are_whole_and_the_model_knows_no_lengths():
    ids, lengths = side("plain").read(torch.tensor([4, 2]))
    assert ids.tolist() == [[8, 8, 0, 0], [5, 0, 0, 0]]
    assert lengths is None


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_a_batch_knows_its_lengths_in_any_case(padding):
    assert side(padding).batch(torch.tensor([1, 0]))[1].tolist() == [4, 2]


@pytest.mark.parametrize(
    ("padding", "parts"), [("plain", [[0, 1], [2, 3], [4]]), ("masked", [[2, 0], [4, 1], [3]])]
)
def test_parts_hold_each_row_once_those_of_like_length_together(padding, parts):
    assert [rows.tolist() for rows in side(padding).parts(2)] == parts
    assert len(side(padding)) == 5


@pytest.mark.parametrize(
    ("padding", "expected"), [("plain", [0] * 5), ("masked", LENGTHS)], ids=["plain", "masked"]
)
def test_batches_are_ordered_by_the_lengths_that_the_model_knows(padding, expected):
    assert side(padding).order_by.tolist() == expected
