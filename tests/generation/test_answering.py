import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.toys import (
    BLANK_ID,
    DIGITS,
    FORM,
    START,
    array,
    chain,
    few_examples,
    lines,
    lively,
    log_softmax,
    pairs_options,
    ragged,
    repeats,
    trained,
)
from unroll.data import batches
from unroll.data.batches import rows_at_once
from unroll.data.pairs import from_translations
from unroll.data.sequences import Sequences, encode
from unroll.errors import DataError, UserError
from unroll.generation.answering import answer, texts_of
from unroll.generation.decoding import GREEDY
from unroll.generation.sampling import Sampling
from unroll.kinds.pairs import PairsKind
from unroll.models.padding import PADDINGS
from unroll.plans.evaluation import MadeUp

TEXTS = ("12", "5678", "903", "4", "77")
SOURCES = encode(TEXTS, DIGITS, 4, "toy")
WIDE = FORM.model_copy(update={"target_width": 7})
DIRECTIONS = {
    "forward": {},
    "reversed": {"reverse_source": True},
    "bidirectional": {"bidirectional": True},
}


def symbols(model, padding="plain", sources=SOURCES, form=WIDE) -> torch.Tensor:
    return answer(model, sources, form, padding).symbols


def said(model, texts, padding="plain", **request) -> list[tuple[str, float]]:
    """Return what a served model answers to texts."""
    task = MadeUp("pairs")  # it takes every text
    toy = trained(model, pairs_options(padding=padding), FORM, task)
    return PairsKind().answer(toy, texts, PairsKind.Request(**request))


def lengths_of(sources: Sequences, padding: str) -> torch.Tensor | None:
    return PADDINGS[padding].lengths(torch.from_numpy(sources.lengths).long())


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_each_symbol_is_the_likeliest_after_those_before_it(cell, decoder, padding):
    model = lively(cell=cell, decoder=decoder, layers=2).eval()
    with torch.no_grad():
        model.decoder.affine.bias[BLANK_ID] = -0.5  # so that not all of them say nothing
    inputs, source = torch.full((5, 1), START), torch.from_numpy(SOURCES.ids).long()
    for _ in range(6):  # everything is decoded again for every symbol
        logits = model(source, inputs, lengths_of(SOURCES, padding))
        inputs = torch.cat([inputs, logits[:, -1:].argmax(dim=2)], dim=1)
    kept = PADDINGS[padding].answered(inputs[:, 1:], BLANK_ID)
    expected = inputs[:, 1:].masked_fill(~kept, BLANK_ID)
    assert torch.equal(symbols(model, padding), expected)
    assert len(expected.unique(dim=0)) > 2


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_ragged_sources_are_answered_together_as_each_alone(cell, decoder, direction, padding):
    data = ragged()
    model = lively(form=data.form, cell=cell, decoder=decoder, **DIRECTIONS[direction]).double()
    sources, end = data.sources["train"], data.form.answers["end"]
    with torch.no_grad():
        model.decoder.affine.bias[end] = 1  # so that answers come to their ends
    assert len(set(sources.lengths.tolist())) > 4
    found = answer(model, sources, data.form, padding)
    for n in range(len(sources)):
        one = answer(model, sources.part(slice(n, n + 1)), data.form, padding)
        assert torch.equal(found.symbols[n], one.symbols[0])
        torch.testing.assert_close(
            found.log_probabilities[n], one.log_probabilities[0], rtol=1e-5, atol=1e-12
        )
    assert len(found.symbols.unique(dim=0)) > 1
    assert padding == "plain" or (found.symbols == end).any()


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_a_batch_is_as_large_as_memory_allows_and_changes_no_answer(monkeypatch, padding):
    model, read = lively(decoder="attention"), []
    expected = answer(model, SOURCES, WIDE, padding)
    assert len(expected.symbols.unique(dim=0)) > 1
    monkeypatch.setattr(batches, "LARGEST", 2 * WIDE.target_width * len(DIGITS))
    model.encoder.register_forward_pre_hook(lambda _, given: read.append(given[0]))
    found = answer(model, SOURCES, WIDE, padding)
    assert torch.equal(found.symbols, expected.symbols)
    torch.testing.assert_close(found.log_probabilities, expected.log_probabilities)
    assert [len(ids) for ids in read] == [2, 2, 1]
    # Masked, the short ones stand together, and of their filling nothing is read.
    widths = {"plain": [4, 4, 4], "masked": [2, 3, 4]}[padding]
    assert [ids.shape[1] for ids in read] == widths


@few_examples
@given(width=st.integers(1, 10_000), symbols=st.integers(1, 10**9))
def test_as_many_rows_at_once_as_fit_and_never_none(width, symbols):
    rows = rows_at_once(width, symbols)
    assert rows >= 1
    assert rows * width * symbols <= batches.LARGEST or rows == 1
    assert (rows + 1) * width * symbols > batches.LARGEST


def test_dropout_is_off_while_answering():
    model = lively(dropout=0.5, layers=2)
    expected = symbols(model.eval())
    assert torch.equal(symbols(model.train()), expected)


def test_an_answer_begins_after_the_start_symbol_and_goes_on_to_the_width():
    model = chain({"_": "1", "1": "2", "2": "3", "3": " ", " ": "3"})
    nine = encode(["9"], DIGITS, 4, "toy")
    assert torch.equal(symbols(model, sources=nine), lines("123 3 "))
    assert torch.equal(symbols(model, "masked", nine), lines("123   "))
    assert torch.equal(symbols(model, sources=nine, form=FORM), lines("123 "))


@pytest.mark.parametrize(("padding", "expected"), [("plain", "7 8"), ("masked", "7")])
def test_the_text_of_an_answer_ends_where_its_padding_says(padding, expected):
    model = chain({"_": "7", "7": " ", " ": "8", "8": " "})  # 7, blank, 8, blank
    assert said(model, ["12"], padding)[0][0] == expected


@pytest.mark.parametrize(
    ("padding", "expected"),
    [("plain", ["12 4", "1234", "", "1 2", "12"]), ("masked", ["12", "1234", "", "1", "12"])],
)
def test_texts_end_at_the_end_symbol_that_counts(padding, expected):
    ids = lines("12 4", "1234", "    ", "1 2 ", "12  ")
    assert texts_of(ids, FORM, padding) == expected


def test_texts_of_a_vocabulary_with_an_end_of_its_own():
    form = ragged().form
    end, pad = form.answers["end"], form.answers["pad"]
    u, v = (form.answers.ids[letter] for letter in "uv")
    ids = torch.tensor([[u, v, end, pad, pad], [end, pad, pad, pad, pad], [u, u, v, u, v]])
    for padding in PADDINGS:
        assert texts_of(ids, form, padding) == ["uv", "", "uuvuv"]


def test_an_answer_may_fill_its_whole_length():
    assert said(repeats("7"), ["1234"])[0][0] == "7777"


def test_a_question_is_filled_to_the_length_of_the_data():
    model = lively(decoder="peeky")
    ids = symbols(model, sources=encode(["12"], DIGITS, 4, "toy"), form=FORM)[0].tolist()
    assert said(model, ["12"])[0][0] == "".join(DIGITS.decode(ids)).rstrip(" ")


@pytest.mark.parametrize(
    ("question", "message"),
    [("", "empty"), ("  ", "empty"), ("12345", "has 5 symbols, at most 4"), ("1x", "'x' is not")],
)
def test_what_cannot_be_asked_is_refused(question, message):
    with pytest.raises(DataError, match=f"the questions, line 2.*{message}"):
        said(repeats("7"), ["1", question])


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_answers_come_with_their_log_probabilities_by_the_equation(padding):
    model = lively(decoder="peeky").eval()
    found = answer(model, SOURCES, FORM, padding)
    inputs = torch.cat([torch.full((5, 1), START), found.symbols[:, :-1]], dim=1)
    source = torch.from_numpy(SOURCES.ids).long()
    logits = array(model(source, inputs, lengths_of(SOURCES, padding))).astype(np.float64)
    expected = np.take_along_axis(log_softmax(logits), found.symbols.numpy()[:, :, None], axis=2)[
        :, :, 0
    ]
    expected[~PADDINGS[padding].answered(found.symbols, BLANK_ID).numpy()] = 0
    np.testing.assert_allclose(found.log_probabilities, expected, atol=1e-5)
    assert found.log_probabilities.dtype == torch.float64
    scores = [score for _, score in said(model, TEXTS, padding)]
    np.testing.assert_allclose(scores, expected.sum(axis=1), atol=1e-5)


def test_a_sure_model_gives_its_answer_the_probability_of_its_table():
    model = chain({"_": "7", "7": " ", " ": " "})
    [(text, score)] = said(model, ["12"], "masked")
    one_step = np.log(np.e ** np.tanh(1) / (np.e ** np.tanh(1) + len(DIGITS) - 1))
    assert text == "7"
    assert score == pytest.approx(2 * one_step, rel=1e-5)


def drawn(model, seed, padding="plain", **options):
    generator = torch.Generator().manual_seed(seed)
    return answer(
        model, SOURCES, WIDE, padding, sampling=Sampling(**options), generator=generator
    ).symbols


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("rows", [2, 5_000])
def test_the_generator_decides_which_answers_are_drawn(monkeypatch, rows, padding):
    monkeypatch.setattr(batches, "LARGEST", rows * WIDE.target_width * len(DIGITS))
    model = lively(decoder="attention")
    assert torch.equal(drawn(model, 1, padding), drawn(model, 1, padding))
    assert not torch.equal(drawn(model, 1, padding), drawn(model, 2, padding))


def test_at_temperature_zero_the_drawn_answer_is_the_likeliest():
    assert GREEDY.temperature == 0
    model = lively(decoder="attention")
    assert torch.equal(drawn(model, 1, temperature=0), symbols(model))
    assert not torch.equal(drawn(model, 1), symbols(model))


def test_answers_as_text_are_drawn_by_their_seed():
    model = lively()
    one, same, other = (said(model, TEXTS, temperature=2.0, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    for cold, seed in itertools.product([{}, {"temperature": 0.0}], (1, 2)):
        assert said(model, TEXTS, seed=seed, **cold) == said(model, TEXTS)


def test_the_likeliest_answers_are_those_of_a_beam_and_the_first_is_answered():
    data = ragged()
    model = lively(form=data.form, padding="masked", decoder="attention")
    toy = trained(model, pairs_options(padding="masked"), data.form, MadeUp("pairs"))
    kind, texts = PairsKind(), data.questions("test")[:6]
    request = kind.Request(beam_width=3)
    found = kind.likeliest(toy, texts, request)
    assert [of[0] for of in found] == kind.answer(toy, texts, request)
    for of in found:
        assert len({text for text, _ in of}) == len(of) == 3
        assert [score for _, score in of] == sorted((score for _, score in of), reverse=True)
    alone = [kind.likeliest(toy, [text], request)[0] for text in texts]
    for one, other in zip(found, alone, strict=True):
        assert [text for text, _ in one] == [text for text, _ in other]
    greedy = kind.answer(toy, texts, kind.Request())
    narrow = [of[0] for of in kind.likeliest(toy, texts, kind.Request(beam_width=1))]
    assert [text for text, _ in narrow] == [text for text, _ in greedy]
    assert all(best >= score - 1e-6 for (_, best), (_, score) in zip(narrow, greedy, strict=True))


def test_a_beam_that_draws_is_refused():
    with pytest.raises(ValidationError, match="choose one"):
        PairsKind.Request(beam_width=2, temperature=1.0)


def words(**changes):
    """Return a trained model of words that knows `a`, `b` and `u`, and says `<unk>` alone."""
    rows = [("a b", "u"), ("b a", "u")]
    splits = dict.fromkeys(("train", "valid", "test"), rows)
    form = from_translations(splits, ("token", "token"), {}).form
    model = lively(form=form, padding="masked", **changes)
    with torch.no_grad():
        model.decoder.affine.weight.zero_()
        model.decoder.affine.bias[form.answers["unknown"]] = 9
    return trained(model, pairs_options(padding="masked", **changes), form, MadeUp("pairs"))


def test_unknown_symbols_are_those_that_attention_looks_at():
    toy, kind = words(decoder="attention"), PairsKind()
    assert kind.answer(toy, ["a b"], kind.Request())[0][0] == "<unk> <unk>"
    look = kind.look(toy, "a b", kind.Request())
    assert (look.question, look.answer) == (["a", "b"], ["<unk>", "<unk>"])
    expected = " ".join(look.question[i] for i in look.weights.argmax(axis=1))
    asked = kind.Request(replace_unknown=True)
    assert kind.answer(toy, ["a b"], asked)[0][0] == expected


def test_a_model_without_attention_replaces_nothing_and_has_no_map():
    toy, kind = words(), PairsKind()
    with pytest.raises(UserError, match="no attention to tell where"):
        kind.answer(toy, ["a b"], kind.Request(replace_unknown=True))
    with pytest.raises(UserError, match="no attention: there is no map"):
        kind.look(toy, "a b", kind.Request())


def test_what_a_model_does_not_know_is_told():
    assert PairsKind().unknown(words(), "a x-a b.") == ["x", "-", "."]
