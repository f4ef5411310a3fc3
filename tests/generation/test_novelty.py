import numpy as np
import pytest

from unroll.generation.novelty import COLUMNS, ngrams, novelty


def test_n_grams_are_runs_of_n():
    assert ngrams([1, 2, 3], 2) == [(1, 2), (2, 3)]
    assert ngrams([1, 2], 3) == []


def test_the_share_of_n_grams_that_stand_in_train():
    train = [1, 2, 3, 4, 5, 1, 2, 9]
    texts = {
        "copied": [((), [1, 2, 3, 4, 5])],
        "new": [((), [5, 4, 3, 2, 1])],
        "half": [((), [1, 2, 5]), ((), [4, 5])],
    }
    table = novelty(texts, train)
    assert list(table.columns) == COLUMNS
    shares = table.set_index(["text", "n"])["in_train"]
    assert [shares["copied", n] for n in (2, 3, 4, 5)] == [1, 1, 1, 1]
    assert [shares["new", n] for n in (2, 3, 4, 5)] == [0, 0, 0, 0]
    assert shares["half", 2] == pytest.approx(2 / 3)  # (1, 2), (2, 5), (4, 5)
    assert shares["half", 3] == 0
    assert np.isnan(shares["half", 4])  # too short for any
    assert table.set_index(["text", "n"]).at[("half", 2), "ngrams"] == 3


def test_what_the_prompt_brings_is_not_counted_as_written():
    table = novelty({"text": [([1, 2, 3], [9, 4])]}, train=[1, 2, 3]).set_index("n")
    assert table["ngrams"].to_dict() == {2: 2, 3: 2, 4: 2, 5: 1}  # those that end in 9 or in 4
    assert table["in_train"].fillna(0).to_dict() == {2: 0, 3: 0, 4: 0, 5: 0}


def test_words_that_may_not_be_written_count_in_no_text():
    train, texts = [1, 2, 3, 7, 1, 2], {"text": [((), [1, 2, 7, 2, 3])]}
    table = novelty(texts, train, skipped=(7,)).set_index("n")
    assert table["ngrams"].to_dict() == {2: 2, 3: 0, 4: 0, 5: 0}
    assert table.at[2, "in_train"] == 1
