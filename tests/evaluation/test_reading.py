import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import language_model
from unroll.evaluation.reading import streams, windows


def test_streams_stand_side_by_side_and_what_is_predicted_is_what_comes_next():
    read, expected = streams(torch.arange(9), 2)
    assert read.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert expected.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


@given(st.integers(2, 60), st.integers(1, 80))
def test_streams_read_all_but_fewer_than_there_are_streams(count, wanted):
    read, expected = streams(torch.arange(count), wanted)
    assert len(read) == min(wanted, count - 1)
    assert read.flatten().tolist() == list(range(read.numel()))
    assert torch.equal(expected, read + 1)
    assert 0 <= count - 1 - read.numel() < len(read)


@given(st.integers(1, 40), st.integers(1, 50))
def test_windows_joined_are_the_text_behind_its_end_symbol(count, length):
    tokens = torch.arange(1, count + 1)
    read, expected = zip(*windows(language_model(), tokens, 0, length), strict=True)
    assert torch.cat(expected).tolist() == tokens.tolist()
    assert torch.cat(read, dim=1)[0].tolist() == [0, *tokens[:-1].tolist()]
    assert all(len(part) <= length for part in expected)
