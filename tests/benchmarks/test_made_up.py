"""Made-up data are such as can be prepared, and as like a text as is said."""

from collections import Counter

import numpy as np
import pytest

import made_up
from measurements.translation import tokens_of
from trainings import training
from unroll.data.pairs import load_pairs, save_pairs
from unroll.tasks.text import Text, TextOptions

SIZES = {"hidden_size": 4, "embedding_size": 4, "optimizer": "adam", "learning_rate": 0.001}


def test_ragged_pairs_are_such_as_can_be_prepared_and_most_are_short(tmp_path):
    save_pairs(made_up.ragged(2_000, words=50), tmp_path / "prepared")
    pairs = load_pairs(tmp_path / "prepared")
    source = np.asarray(pairs.sources["train"].lengths)
    target = np.asarray(pairs.targets["train"].lengths) - 2  # start and end
    for lengths in (source, target):
        assert lengths.min() == 3 and 30 < lengths.max() <= 40
        assert np.median(lengths) < 11
    assert np.corrcoef(source, target)[0, 1] > 0.8
    question, answer = pairs.questions("train")[0].split(), pairs.answers("train")[0].split()
    shared = min(len(question), len(answer))
    assert (len(question), len(answer)) == (source[0], target[0])
    assert question[:shared] == answer[:shared]


def test_even_pairs_have_one_length(tmp_path):
    save_pairs(made_up.even(30, words=50, length=7), tmp_path / "prepared")
    pairs = load_pairs(tmp_path / "prepared")
    assert {len(text.split()) for text in (*pairs.questions("train"), *pairs.answers("train"))} == {
        7
    }


@pytest.mark.parametrize("padding", ["masked", "plain"])
def test_tokens_are_those_that_an_epoch_reads(padding):
    pairs = made_up.ragged(64, words=50)
    objective = training("pairs", pairs, **SIZES, batch_size=16, padding=padding).objective
    read = list(objective.reads(1, 0))
    lengths = sum(int(of.sum()) - len(of) for *_, of, _ in read)
    sources = sum(int((source != pairs.form.source["pad"]).sum()) for source, *_ in read)
    assert tokens_of(pairs) == lengths + sources
    places = sum(source.numel() + target[:, 1:].numel() for source, _, target, *_ in read)
    if padding == "masked":
        assert places < 1.5 * tokens_of(pairs)
    else:
        assert places == 64 * (40 + 41)


def test_a_made_up_text_has_as_many_tokens_as_are_asked_for(tmp_path):
    for split, tokens in (("train", 5_000), ("valid", 100), ("test", 100)):
        made_up.write_text(tmp_path / f"{split}.txt", tokens, words=50)
    words = (tmp_path / "train.txt").read_text().split()
    counts = Counter(words)
    assert len(counts) == 50
    assert counts["w0"] == pytest.approx(len(words) / sum(1 / n for n in range(1, 51)), rel=0.1)
    data = Text(TextOptions(kind="text", source=str(tmp_path))).prepare()
    assert len(data.vocabulary) == 51  # and the end of a sentence
    assert len(data.tokens["train"]) == pytest.approx(5_000, abs=3)
