from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import (
    BLANK_ID,
    DIGITS,
    START,
    array,
    chain,
    few_examples,
    lines,
    lively,
    pairs,
    pairs_options,
    repeats,
    softmax,
    subject,
)
from unroll.data.pairs import Pairs
from unroll.evaluation.accuracy import accuracy
from unroll.evaluation.evaluate import SAMPLES, evaluate_model
from unroll.runs.record import Record

ANY = lines("12", "34", "56")


@pytest.mark.parametrize(
    ("padding", "exact_match", "character_accuracy"),
    [("plain", 1 / 3, (4 + 2 + 3) / 12), ("masked", 1 / 3, (4 + 2 + 3) / (4 + 3 + 4))],
)
def test_symbols_are_counted_as_padding_says(padding, exact_match, character_accuracy):
    targets = lines("_7777", "_77  ", "_7787")
    found = accuracy(repeats("7"), ANY, targets, BLANK_ID, padding)
    assert torch.equal(found.answers, lines("7777", "7777", "7777"))
    assert found.right.tolist() == [True, False, False]
    assert found.exact_match == pytest.approx(exact_match, abs=1e-12)
    assert found.character_accuracy == pytest.approx(character_accuracy, abs=1e-12)


def test_masked_forgives_what_follows_the_end_of_an_answer_but_not_a_missing_end():
    follows = {"_": "7", "7": " ", " ": "8"}  # answers 7, a blank, then 8
    targets = lines("_7  ", "_7  ", "_78 ")
    masked = accuracy(chain(follows), ANY, targets, BLANK_ID, "masked")
    assert masked.right.tolist() == [True, True, False]
    plain = accuracy(chain(follows), ANY, targets, BLANK_ID, "plain")
    assert plain.right.tolist() == [False, False, False]
    endless = accuracy(repeats("7"), ANY, targets, BLANK_ID, "masked")
    assert endless.right.tolist() == [False, False, False]


@few_examples
@given(
    texts=st.lists(st.from_regex("[0-9]{1,3}", fullmatch=True), min_size=1, max_size=5),
    more=st.integers(1, 4),
    decoder=st.sampled_from(["plain", "peeky", "attention"]),
)
def test_more_blanks_change_no_answer_of_a_masked_model(texts, more, decoder):
    model = lively(decoder=decoder, padding="masked", bidirectional=True)
    targets = lines("_12 ").expand(len(texts), -1)
    sources, longer = (lines(*(text.ljust(n) for text in texts)) for n in (3, 3 + more))
    one, other = (accuracy(model, s, targets, BLANK_ID, "masked") for s in (sources, longer))
    assert torch.equal(one.answers, other.answers)
    assert one.character_accuracy == other.character_accuracy


@pytest.mark.parametrize(("padding", "symbols"), [("plain", 4), ("masked", 2)])
def test_confidence_is_the_probability_of_the_whole_answer(padding, symbols):
    model = chain({"_": "7", "7": " ", " ": " "}, padding)
    found = accuracy(model, ANY, lines("_1234").expand(3, -1), BLANK_ID, padding)
    one_step = softmax(np.eye(len(DIGITS))[0] * np.tanh(1))[0]
    assert found.confidence.tolist() == pytest.approx([one_step**symbols] * 3, rel=1e-5)


@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
def test_confidence_follows_from_the_logits_of_the_answer(decoder):
    model = lively(decoder=decoder).eval()
    sources = lines("12", "34", "7 ")
    found = accuracy(model, sources, lines("_1234").expand(3, -1), BLANK_ID, "plain")
    inputs = torch.cat([torch.full((3, 1), START), found.answers[:, :-1]], dim=1)
    likelihoods = softmax(array(model(sources, inputs)).astype(np.float64))
    expected = likelihoods.max(axis=2).prod(axis=1)
    np.testing.assert_allclose(found.confidence, expected, rtol=1e-5)


def test_sample_lines_show_question_expected_answer_and_verdict():
    data = pairs(SAMPLES + 5)
    data.targets["test"] = data.targets["test"].copy()
    data.targets["test"][:, 1:] = DIGITS.ids["8"]
    data.targets["test"][0, 1:] = lines("7   ")[0]
    options = pairs_options()
    record = Record(subject(options), 0, 1, data.form, DIGITS, None)
    model = chain({"_": "7", "7": " ", " ": " "})
    given = Pairs(DIGITS, data.sources, data.targets, {})
    found = evaluate_model(record, model, given, ModuleType("a task"), "cpu")
    questions = ["".join(DIGITS.decode(row)).rstrip() for row in data.sources["test"].tolist()]
    expected = [f"Q {questions[0]}", "T 7", "☑ 7", "---", f"Q {questions[1]}", "T 8888", "☒ 7"]
    assert found.samples.splitlines()[:7] == expected
    assert found.samples.count("---\n") == SAMPLES
    assert found.scores["test_exact_match"] == pytest.approx(1 / (SAMPLES + 5))
    assert START not in data.targets["test"][:, 1:]
    mistakes = found.breakdown[found.breakdown["property"] == "mistake"]
    assert mistakes["value"].tolist() == ["7 instead of 8"]  # the task has no names of its own
    assert mistakes["items"].tolist() == [SAMPLES + 4]
