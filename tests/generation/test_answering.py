import numpy as np
import pytest
import torch

from models.toys import (
    BLANK_ID,
    DIGITS,
    START,
    array,
    chain,
    lines,
    lively,
    log_softmax,
    pairs_options,
    repeats,
    subject,
)
from unroll.errors import DataError
from unroll.generation import answering
from unroll.generation.answering import answer_texts, log_probability
from unroll.generation.decoding import Decoded
from unroll.generation.sampling import Sampling
from unroll.runs.record import Record

SOURCES = lines("12  ", "5678", "903 ", "4   ", "77  ")


def record(padding: str = "plain") -> Record:
    form = {"source_length": 4, "target_length": 5, "start": "_"}
    return Record(subject(pairs_options(padding=padding)), 0, 1, form, DIGITS, None)


def answer(*arguments) -> torch.Tensor:
    return answering.answer(*arguments).symbols


def answer_text(the_record, model, question: str) -> str:
    [(text, _)] = answer_texts(the_record, model, [question])
    return text


@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_each_symbol_is_the_likeliest_after_those_before_it(cell, decoder):
    model = lively(cell=cell, decoder=decoder, layers=2, padding="masked").eval()
    inputs = torch.full((5, 1), START)
    for _ in range(6):  # everything is decoded again for every symbol
        inputs = torch.cat([inputs, model(SOURCES, inputs)[:, -1:].argmax(dim=2)], dim=1)
    assert torch.equal(answer(model, SOURCES, START, 6), inputs[:, 1:])
    assert len(inputs.unique(dim=0)) > 2


def test_the_size_of_a_batch_changes_no_answer(monkeypatch):
    model = lively(decoder="attention")
    expected = answer(model, SOURCES, START, 6)
    assert len(expected.unique(dim=0)) > 1
    monkeypatch.setattr(answering, "BATCH", 2)
    assert torch.equal(answer(model, SOURCES, START, 6), expected)


def test_dropout_is_off_while_answering():
    model = lively(dropout=0.5, layers=2)
    expected = answer(model.eval(), SOURCES, START, 6)
    assert torch.equal(answer(model.train(), SOURCES, START, 6), expected)


def test_an_answer_begins_after_the_start_symbol():
    model = chain({"_": "1", "1": "2", "2": "3", "3": " ", " ": "3"})
    assert torch.equal(answer(model, lines("9"), START, 5), lines("123 3"))


@pytest.mark.parametrize(("padding", "expected"), [("plain", "7 8"), ("masked", "7")])
def test_the_text_of_an_answer_ends_where_its_padding_says(padding, expected):
    model = chain({"_": "7", "7": " ", " ": "8", "8": " "}, padding)  # 7, blank, 8, blank
    assert answer_text(record(padding), model, "12") == expected


def test_an_answer_may_fill_its_whole_length():
    assert answer_text(record(), repeats("7"), "1234") == "7777"


def test_a_question_is_filled_with_blanks_to_the_length_of_the_data():
    model = lively(decoder="peeky")
    ids = answer(model, lines("12  "), START, 4)[0].tolist()
    assert answer_text(record(), model, "12") == "".join(DIGITS.decode(ids)).rstrip(" ")


@pytest.mark.parametrize(
    ("question", "message"),
    [("", "empty"), ("  ", "empty"), ("12345", "has 5 symbols, at most 4"), ("1x", "'x' is not")],
)
def test_what_cannot_be_asked_is_refused(question, message):
    with pytest.raises(DataError, match=f"the questions, line 1.*{message}"):
        answer_text(record(), repeats("7"), question)


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_the_log_probability_of_an_answer_is_the_sum_over_what_counts(padding):
    symbols = lines("12 4", "1234", "    ", "1 2 ", "12  ")
    counted = {"plain": [4, 4, 4, 4, 4], "masked": [3, 4, 1, 2, 3]}[padding]
    scores = -torch.arange(1.0, 21.0).reshape(5, 4)
    found = log_probability(Decoded(symbols, scores), BLANK_ID, padding)
    expected = [row[:count].sum().item() for row, count in zip(scores, counted, strict=True)]
    assert found.tolist() == expected


def test_answers_come_with_their_log_probabilities_by_the_equation():
    model = lively(decoder="peeky").eval()
    found = answering.answer(model, SOURCES, START, 4)
    inputs = torch.cat([torch.full((5, 1), START), found.symbols[:, :-1]], dim=1)
    expected = np.take_along_axis(
        log_softmax(array(model(SOURCES, inputs)).astype(np.float64)),
        found.symbols.numpy()[:, :, None],
        axis=2,
    )[:, :, 0]
    np.testing.assert_allclose(found.log_probabilities, expected, atol=1e-5)
    questions = ["12", "5678", "903", "4", "77"]
    scores = [score for _, score in answer_texts(record(), model, questions)]
    np.testing.assert_allclose(scores, expected.sum(axis=1), atol=1e-5)


def test_a_sure_model_gives_its_answer_the_probability_of_its_table():
    model = chain({"_": "7", "7": " ", " ": " "}, "masked")
    [(text, score)] = answer_texts(record("masked"), model, ["12"])
    one_step = np.log(np.e ** np.tanh(1) / (np.e ** np.tanh(1) + len(DIGITS) - 1))
    assert text == "7"
    assert score == pytest.approx(2 * one_step, rel=1e-5)


def drawn(model, seed, **options):
    found = answering.answer(
        model, SOURCES, START, 6, Sampling(**options), torch.Generator().manual_seed(seed)
    )
    return found.symbols


@pytest.mark.parametrize("batch", [2, 5_000])
def test_the_generator_decides_which_answers_are_drawn(monkeypatch, batch):
    monkeypatch.setattr(answering, "BATCH", batch)
    model = lively(decoder="attention")
    assert torch.equal(drawn(model, 1), drawn(model, 1))
    assert not torch.equal(drawn(model, 1), drawn(model, 2))


def test_at_temperature_zero_the_drawn_answer_is_the_likeliest():
    model = lively(decoder="attention")
    assert torch.equal(drawn(model, 1, temperature=0), answer(model, SOURCES, START, 6))
    assert not torch.equal(drawn(model, 1), answer(model, SOURCES, START, 6))


def test_answers_as_text_are_drawn_by_their_generator():
    model, questions = lively(), ["12", "5678", "903"]

    def texts(seed):
        generator = torch.Generator().manual_seed(seed)
        return answer_texts(record(), model, questions, Sampling(temperature=2), generator)

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)
