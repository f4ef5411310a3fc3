import json

import numpy as np
import pytest
import torch

from models.toys import DIGITS, START, lines, lively, ragged
from unroll.data.pairs import Pairs
from unroll.data.sequences import Sequences
from unroll.errors import DataError
from unroll.evaluation import attention
from unroll.evaluation.accuracy import accuracy
from unroll.evaluation.attention import attention_weights, looks_of, maps_of
from unroll.evaluation.maps import NAME, Map, read_maps, write_maps

SOURCES, ANSWERS = lines("123 ", "45  "), lines("31", "54")
LENGTHS = {"plain": None, "masked": torch.tensor([3, 2])}
ROWS = np.array([4, 0, 5])
MAP = {"question": ["1", " "], "answer": ["3"], "right": True, "weights": [[0.25, 0.75]]}


def attention_model(**changes):
    return lively(decoder="attention", **changes).eval()


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("reverse_source", [False, True])
def test_the_weights_explain_the_logits(padding, reverse_source):
    """The context that they give, put through the affine layer, is what the model computes."""
    model, lengths = attention_model(padding=padding, reverse_source=reverse_source), LENGTHS
    weights = attention_weights(model, SOURCES, lengths[padding], ANSWERS, START)
    assert weights.shape == (2, 2, 4)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 2))
    memory, state = model.encode(SOURCES, lengths[padding])
    inputs = torch.cat([torch.full((2, 1), START), ANSWERS[:, :-1]], dim=1)
    hidden, _ = model.decoder.recurrent(model.decoder.embedding(inputs), state)
    states = memory.states.detach().numpy()
    if reverse_source:  # back into the order of the text
        for row, length in enumerate([4, 4] if padding == "plain" else [3, 2]):
            states[row, :length] = states[row, :length][::-1].copy()
    context = weights.numpy() @ states
    features = np.concatenate([context, hidden.detach().numpy()], axis=2)
    affine = model.decoder.affine
    expected = features @ affine.weight.detach().numpy().T + affine.bias.detach().numpy()
    logits = model(SOURCES, inputs, lengths[padding]).detach().numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_masked_blanks_are_not_looked_at():
    model = attention_model(padding="masked")
    weights = attention_weights(model, SOURCES, LENGTHS["masked"], ANSWERS, START)
    assert (weights[SOURCES[:, None, :].expand_as(weights) == DIGITS.ids[" "]] == 0).all()


@pytest.mark.parametrize("decoder", ["plain", "peeky"])
def test_a_decoder_that_looks_at_nothing_has_no_weights_and_no_maps(decoder):
    model, data = lively(decoder=decoder, form=ragged().form), ragged()
    ids = torch.as_tensor(data.sources["test"].ids).long()
    assert attention_weights(model, ids, None, ids, 0) is None
    test = accuracy(model, data, "test", "plain", "cpu")
    assert maps_of(model, data, "plain", "cpu", test, ROWS) == []


def maps(model, data: Pairs, padding: str) -> list[dict]:
    test = accuracy(model, data, "test", padding, "cpu")
    return maps_of(model, data, padding, "cpu", test, ROWS)


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_maps_hold_the_symbols_of_both_sides_and_their_weights(padding):
    data = ragged()
    model = attention_model(form=data.form, padding=padding)
    test, found = accuracy(model, data, "test", padding, "cpu"), maps(model, data, padding)
    lengths, ids = data.sources["test"].lengths, torch.as_tensor(data.sources["test"].ids).long()
    seen = torch.as_tensor(lengths).long() if padding == "masked" else None
    start, end = data.form.answers["start"], data.form.answers["end"]
    weights = attention_weights(model, ids, seen, test.written.symbols, start).numpy()
    for one, row in zip(found, ROWS.tolist(), strict=True):
        answer = test.written.symbols[row].tolist()
        T, width = len(answer), ids.shape[1]
        if padding == "masked":
            T = answer.index(end) + 1 if end in answer else T
            width = int(lengths[row])
        assert one["question"] == data.form.source.decode(ids[row, :width].tolist())
        assert one["answer"] == data.form.answers.decode(answer[:T])
        assert one["right"] is bool(test.right[row])
        np.testing.assert_allclose(one["weights"], weights[row, :T, :width], atol=5.1e-5)
        np.testing.assert_allclose(np.sum(one["weights"], axis=1), 1, atol=1e-3)
        Map.model_validate(one)
    widths = {len(one["question"]) for one in found}
    assert widths == ({6} if padding == "plain" else set(lengths[ROWS].tolist()))


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_a_model_that_reads_from_the_end_has_its_maps_in_the_order_of_the_text(padding):
    """It is one that reads from the beginning, whose text is turned around."""
    data = ragged()
    backwards = attention_model(form=data.form, padding=padding, reverse_source=True)
    forwards = attention_model(form=data.form, padding=padding)
    forwards.load_state_dict(backwards.state_dict())
    source = data.sources["test"]
    turned = source.ids[:, ::-1].copy()
    if padding == "masked":
        turned = source.ids.copy()
        for row, length in zip(turned, source.lengths, strict=True):
            row[:length] = row[:length][::-1].copy()
    other = Pairs(data.form, {"test": Sequences(turned, source.lengths)}, data.targets, {})
    found, expected = maps(backwards, data, padding), maps(forwards, other, padding)
    for one, turned_one in zip(found, expected, strict=True):
        assert one["question"] == turned_one["question"][::-1]
        assert one["answer"] == turned_one["answer"]
        np.testing.assert_allclose(
            one["weights"], np.array(turned_one["weights"])[:, ::-1], atol=1.1e-4
        )
    uneven = np.array(found[0]["weights"])
    assert np.abs(uneven - uneven[:, ::-1]).max() > 0.01  # the order can be told


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("reverse_source", [False, True])
@pytest.mark.parametrize("decoder", ["attention", "input_feeding"])
def test_what_both_readings_of_a_doubled_source_are_given_is_added(
    decoder, reverse_source, padding
):
    """It is a model that reads the text once, and is given it after itself."""
    options = {"decoder": decoder, "padding": padding, "reverse_source": reverse_source}
    twice, once = lively(double_source=True, **options), lively(**options)
    once.load_state_dict(twice.state_dict())
    lengths, masked = LENGTHS[padding], padding == "masked"
    texts = lines("123123  ", "4545    ") if masked else lines("123 123 ", "45  45  ")
    found = attention_weights(twice, SOURCES, lengths, ANSWERS, START)
    whole = attention_weights(once, texts, 2 * lengths if masked else None, ANSWERS, START)
    assert found.shape == (2, 2, 4)
    torch.testing.assert_close(found.sum(dim=2), torch.ones(2, 2))
    for row, length in enumerate([3, 2] if masked else [4, 4]):
        expected = whole[row, :, :length] + whole[row, :, length : 2 * length]
        torch.testing.assert_close(found[row, :, :length], expected)
        assert not found[row, :, length:].any()
        assert (whole[row, :, length : 2 * length] > 0).all()


def test_maps_of_a_doubled_source_have_the_question_once():
    data = ragged()
    model = attention_model(form=data.form, padding="masked", double_source=True)
    for one in maps(model, data, "masked"):
        assert len(one["question"]) in data.sources["test"].lengths[ROWS]
        np.testing.assert_allclose(np.sum(one["weights"], axis=1), 1, atol=1e-3)
        Map.model_validate(one)


def test_maps_are_read_as_they_were_written(tmp_path):
    write_maps(tmp_path, [MAP, {**MAP, "right": False}])
    assert [one.model_dump() for one in read_maps(tmp_path)] == [MAP, {**MAP, "right": False}]
    written = json.loads((tmp_path / NAME).read_text(encoding="utf-8"))
    assert written["maps"][0] == MAP  # text that people can read


def test_where_there_is_no_file_there_are_no_maps(tmp_path):
    assert read_maps(tmp_path) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": [[0.25, 0.75], [1.0, 0.0]]},
        {"weights": [[0.25]]},
        {"weights": [[0.25, 1.75]]},
        {"weights": [[0.25, -0.75]]},
        {"weights": [[0.25, float("nan")]]},
        {"question": "1 "},
        {"right": 1},
        {"more": 1},
    ],
    ids=["a row more", "one less", "above one", "below zero", "nan", "a text", "a number", "more"],
)
def test_what_is_no_map_is_refused(tmp_path, changes):
    write_maps(tmp_path, [{**MAP, **changes}])
    with pytest.raises(DataError, match=rf"{NAME} holds no attention maps \("):
        read_maps(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_file_that_is_no_json_is_refused(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(DataError, match=NAME):
        read_maps(tmp_path)


def test_what_answers_looked_at_is_the_same_in_parts(monkeypatch):
    model, data = attention_model(form=ragged().form, padding="masked"), ragged()
    sources = data.sources["test"]
    written = accuracy(model, data, "test", "masked", "cpu").written.symbols
    whole = looks_of(model, sources, written, data.form, "masked", "cpu")
    monkeypatch.setattr(attention, "rows_at_once", lambda *_: 3)
    parts = looks_of(model, sources, written, data.form, "masked", "cpu")
    for one, other in zip(whole, parts, strict=True):
        assert (one.question, one.answer) == (other.question, other.answer)
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-6)


def test_a_map_of_tokens_has_the_texts_that_they_were():
    found = Map(question=["Qu", "￭'￭", "as"], answer=["x"], right=True, weights=[[0.1, 0.2, 0.7]])
    assert found.texts() == ("Qu'as", "x")
