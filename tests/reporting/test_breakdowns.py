import numpy as np
import pytest

from reporting.made import corpus_result, labels_result, pairs_result
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


EXPECTED = ["neg", "neg", "pos", "odd one"]


def test_an_answer_to_a_label_has_its_share_of_those_to_this_label():
    of = [["neg", "pos", "pos", "pos"], ["neg", "neg", "neg", "pos"]]
    table = together({"v": labels_result(EXPECTED, *of)})
    confusion = table[table["property"] == "label × answer"]
    found = confusion[["value", "items", "mean"]].to_records(index=False).tolist()
    assert found == [
        ("neg × neg", 3, 0.75),
        ("neg × pos", 1, 0.25),
        ("odd one × pos", 2, 1.0),
        ("pos × neg", 1, 0.5),
        ("pos × pos", 1, 0.5),
    ]
    assert confusion["std"].isna().all()
    sure = np.linspace(0.5, 0.9, 4)
    assert confusion["confidence"].tolist() == pytest.approx(
        [(2 * sure[0] + sure[1]) / 3, sure[1], sure[3], sure[2], sure[2]]
    )


def test_the_shares_of_each_label_sum_to_one_for_each_variant():
    random = np.random.default_rng(0)
    names = ["a", "a b", "c-d", "10", "9"]
    expected = [*names, *random.choice(names, 55).tolist()]
    drawn = [random.choice(names, 60).tolist() for _ in range(5)]
    results = {
        "one": labels_result(expected, *drawn[:3]),
        "two": labels_result(expected, *drawn[3:]),
    }
    table = together(results)
    table = table[table["property"] == "label × answer"]
    label = table["value"].str.partition(" × ")[0]
    sums = table.groupby(["variant", label])["mean"].sum()
    assert len(sums) == 2 * len(names)
    assert sums.tolist() == pytest.approx([1.0] * len(sums))
    assert table.groupby("variant")["items"].sum().to_dict() == {"one": 180, "two": 120}


def test_labels_are_sorted_by_their_numbers():
    labels = ["10–99", "1,000–", "0", "1–9", "100–999"]
    assert sorted(labels, key=numbers) == ["0", "1–9", "10–99", "100–999", "1,000–"]
    assert sorted(["2+1", "10+1", "1+3", "1+2"], key=numbers) == ["1+2", "1+3", "2+1", "10+1"]
    assert sorted(["0.9–1.0", "0.0–0.1"], key=numbers) == ["0.0–0.1", "0.9–1.0"]
