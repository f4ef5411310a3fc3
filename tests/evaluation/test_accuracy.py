import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import (
    DIGITS,
    START,
    array,
    chain,
    few_examples,
    lines,
    lively,
    ragged,
    repeats,
    softmax,
)
from unroll.data.pairs import Pairs, PairsForm
from unroll.data.sequences import SPLITS, encode
from unroll.evaluation.accuracy import Accuracy, accuracy

ANY = ["12", "34", "56"]


def asked(questions: list[str], answers: list[str], source_width: int, width: int) -> Pairs:
    """Return pairs of these texts, the same in all splits; answers have up to `width` symbols."""
    sources = encode(questions, DIGITS, source_width, "toy")
    targets = encode(answers, DIGITS, width + 1, "toy", start=True, end=True)
    form = PairsForm(source=DIGITS, source_width=source_width, target_width=width + 1)
    return Pairs(form, dict.fromkeys(SPLITS, sources), dict.fromkeys(SPLITS, targets), {})


def answered(model, answers: list[str], width: int, padding: str) -> Accuracy:
    return accuracy(model, asked(ANY, answers, 2, width), "test", padding, "cpu")


@pytest.mark.parametrize(
    ("padding", "exact_match", "character_accuracy"),
    [("plain", 1 / 3, (4 + 2 + 3) / 12), ("masked", 1 / 3, (4 + 2 + 3) / (4 + 3 + 4))],
)
def test_symbols_are_counted_as_padding_says(padding, exact_match, character_accuracy):
    found = answered(repeats("7"), ["7777", "77", "7787"], 4, padding)
    assert torch.equal(found.written.symbols, lines("7777", "7777", "7777"))
    assert found.right.tolist() == [True, False, False]
    assert found.scores() == {
        "exact_match": pytest.approx(exact_match, abs=1e-12),
        "character_accuracy": pytest.approx(character_accuracy, abs=1e-12),
    }


def test_masked_forgives_what_follows_the_end_of_an_answer_but_not_a_missing_end():
    follows = {"_": "7", "7": " ", " ": "8"}  # answers 7, a blank, then 8
    texts = ["7", "7", "78"]
    assert answered(chain(follows), texts, 3, "masked").right.tolist() == [True, True, False]
    assert answered(chain(follows), texts, 3, "plain").right.tolist() == [False, False, False]
    assert answered(repeats("7"), texts, 3, "masked").right.tolist() == [False, False, False]


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_an_end_symbol_of_its_own_counts_and_what_fills_after_it_only_where_all_does(padding):
    pairs = ragged()
    found = accuracy(lively(form=pairs.form, padding=padding), pairs, "test", padding, "cpu")
    targets = pairs.targets["test"]
    expected, steps = np.array(targets.ids[:, 1:]), np.arange(targets.width - 1)
    counts = np.ones(expected.shape, bool)
    if padding == "masked":
        counts = steps < targets.lengths[:, None] - 1
    np.testing.assert_array_equal(found.counts, counts)
    written = found.written.symbols.numpy()
    np.testing.assert_array_equal(found.wrong, (written != expected) & counts)
    assert len(set(targets.lengths.tolist())) > 2  # the mask matters


@few_examples
@given(
    texts=st.lists(st.from_regex("[0-9]{1,3}", fullmatch=True), min_size=1, max_size=5),
    more=st.integers(1, 4),
    decoder=st.sampled_from(["plain", "peeky", "attention"]),
)
def test_more_blanks_change_no_answer_of_a_masked_model(texts, more, decoder):
    model = lively(decoder=decoder, padding="masked", bidirectional=True)
    answers = ["12"] * len(texts)
    one, other = (
        accuracy(model, asked(texts, answers, width, 3), "test", "masked", "cpu")
        for width in (3, 3 + more)
    )
    assert torch.equal(one.written.symbols, other.written.symbols)
    assert one.scores() == other.scores()


@pytest.mark.parametrize(("padding", "symbols"), [("plain", 4), ("masked", 2)])
def test_confidence_is_the_probability_of_the_whole_answer(padding, symbols):
    model = chain({"_": "7", "7": " ", " ": " "}, padding)
    found = answered(model, ["1234"] * 3, 4, padding)
    one_step = softmax(np.eye(len(DIGITS))[0] * np.tanh(1))[0]
    assert found.confidence.tolist() == pytest.approx([one_step**symbols] * 3, rel=1e-5)


@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
def test_confidence_follows_from_the_logits_of_the_answer(decoder):
    model = lively(decoder=decoder).eval()
    pairs = asked(["12", "34", "7"], ["1234"] * 3, 2, 4)
    found = accuracy(model, pairs, "test", "plain", "cpu")
    inputs = torch.cat([torch.full((3, 1), START), found.written.symbols[:, :-1]], dim=1)
    likelihoods = softmax(array(model(lines("12", "34", "7 "), inputs)).astype(np.float64))
    expected = likelihoods.max(axis=2).prod(axis=1)
    np.testing.assert_allclose(found.confidence, expected, rtol=1e-5)
