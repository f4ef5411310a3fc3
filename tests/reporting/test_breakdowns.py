import numpy as np
import pytest

from reporting.made import corpus_result, pairs_result
from unroll.reporting.breakdowns import COLUMNS, numbers, together


def test_seeds_are_taken_together_by_their_items():
    table = together({"v": pairs_result([1, 0, 1, 1], [1, 1, 0, 0])})
    assert list(table.columns) == COLUMNS
    lengths = table[table["property"] == "answer length"].set_index("value")
    assert lengths["items"].tolist() == [4, 4]
    assert lengths["mean"].tolist() == [0.75, 0.5]  # first and third, second and fourth answers
    assert lengths["std"].tolist() == pytest.approx([np.std([1, 0.5], ddof=1), 0])
    assert lengths["confidence"].tolist() == [0.75, 0.75]


def test_a_mistake_has_its_share_of_the_wrong_answers():
    table = together({"v": pairs_result([1, 0, 1, 1], [1, 1, 0, 0])})
    [row] = table[table["property"] == "mistake"].to_dict("records")
    assert row["value"] == "no number"
    assert (row["items"], row["mean"]) == (3, 1.0)


def test_perplexities_are_averaged_as_logarithms():
    table = together({"lm": corpus_result([2.0, 2.0], [4.0, 4.0])})
    assert table["value"].tolist() == ["1–9", "10–99"]
    assert table["mean"].tolist() == pytest.approx([np.exp(1.5)] * 2)  # 1 and 2 nats a word
    assert table["confidence"].isna().all()


def test_labels_are_sorted_by_their_numbers():
    labels = ["10–99", "1,000–", "0", "1–9", "100–999"]
    assert sorted(labels, key=numbers) == ["0", "1–9", "10–99", "100–999", "1,000–"]
    assert sorted(["2+1", "10+1", "1+3", "1+2"], key=numbers) == ["1+2", "1+3", "2+1", "10+1"]
    assert sorted(["0.9–1.0", "0.0–0.1"], key=numbers) == ["0.0–0.1", "0.9–1.0"]
