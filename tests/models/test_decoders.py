import numpy as np
import pytest
import torch

from models.toys import array, lengths_of, lines, seq2seq, softmax, step

CELLS = ("lstm", "gru", "rnn")
TEXTS = ("12  ", "5678", "903 ")
SOURCE, LENGTHS, INPUTS = lines(*TEXTS), lengths_of(*TEXTS), lines("_12", "_45", "_9 ")
BEYOND = torch.arange(4) >= LENGTHS[:, None]  # (N, T_source): the filling


def looked(attention, score: str, states: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Return the scores (N, T_source) of states (N, T_source, H) for one query (N, H) each."""
    if score == "dot":
        return np.einsum("nth,nh->nt", states, query)
    if score == "general":
        return np.einsum("nth,gh,ng->nt", states, array(attention.project.weight), query)
    W, U, v = (array(part.weight) for part in (attention.query, attention.state, attention.score))
    return np.tanh((query @ W.T)[:, None] + states @ U.T) @ v[0]


def by_hand(
    model, cell: str, kind: str, lengths=None, score="dot", asks="now"
) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode step by step from the equations; the model has one layer. Logits and weights."""
    memory, state = model.encode(SOURCE, lengths)
    decoder, states, h_encoder = model.decoder, array(memory.states), array(memory.summary)
    W, b = array(decoder.affine.weight), array(decoder.affine.bias)
    now = tuple(array(part[0]) for part in state)
    *now, fed = now if kind == "input_feeding" else (*now, None)
    logits, weights = [], []
    for t in range(INPUTS.shape[1]):
        x = array(decoder.embedding.weight)[INPUTS[:, t].numpy()]
        if kind == "peeky":
            x = np.concatenate([h_encoder, x], axis=1)
        if kind == "input_feeding":
            x = np.concatenate([fed, x], axis=1)
        before, now = now[0], step(cell, decoder.recurrent.layers[0], x, tuple(now))
        h = now[0]
        if kind == "peeky":
            h = np.concatenate([h_encoder, h], axis=1)
        if kind in ("attention", "input_feeding"):
            query = h if asks == "now" else before
            scores = looked(decoder.attention, score, states, query)
            if lengths is not None:
                scores[BEYOND.numpy()] = -np.inf
            weights.append(softmax(scores))
            context = np.einsum("nt,nth->nh", weights[-1], states)
            h = np.concatenate([context, h], axis=1)
        if kind == "input_feeding":
            h = fed = np.tanh(h @ array(decoder.combine.weight).T)
        logits.append(h @ W.T + b)
    return np.stack(logits, axis=1), np.stack(weights, axis=1) if weights else None


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["plain", "masked"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["plain", "peeky", "attention"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_decoder_follows_its_equations(cell, kind, reverse, lengths):
    model = seq2seq(cell=cell, decoder=kind, bridge="state", reverse_source=reverse).double()
    logits, weights = by_hand(model, cell, kind, lengths)
    memory, state = model.encode(SOURCE, lengths)
    found = model.decode(INPUTS, state, memory)
    np.testing.assert_allclose(array(found.logits), logits, rtol=1e-10, atol=1e-12)
    if weights is None:
        assert found.weights is None
    else:
        assert found.weights.shape == (3, 3, 4)
        np.testing.assert_allclose(array(found.weights), weights, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["plain", "masked"])
@pytest.mark.parametrize("asks", ["now", "before"])
@pytest.mark.parametrize("score", ["dot", "general", "additive"])
@pytest.mark.parametrize("kind", ["attention", "input_feeding"])
@pytest.mark.parametrize("cell", CELLS)
def test_attention_follows_its_equations(cell, kind, score, asks, lengths):
    model = seq2seq(
        cell=cell, decoder=kind, bridge="state", attention=score, attention_query=asks
    ).double()
    logits, weights = by_hand(model, cell, kind, lengths, score, asks)
    memory, state = model.encode(SOURCE, lengths)
    found = model.decode(INPUTS, state, memory)
    np.testing.assert_allclose(array(found.logits), logits, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(array(found.weights), weights, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["plain", "masked"])
@pytest.mark.parametrize("cell", CELLS)
def test_in_step_the_nth_symbol_rests_on_the_first_n_of_the_source(cell, lengths):
    model = seq2seq(cell=cell, decoder="in_step").double()
    memory, state = model.encode(SOURCE, lengths)
    inputs = torch.zeros(3, 6, dtype=torch.long)
    found = model.decode(inputs, state, memory)
    W, b = array(model.decoder.affine.weight), array(model.decoder.affine.bias)
    heard = np.concatenate([array(memory.states), np.zeros((3, 2, W.shape[1]))], axis=1)
    np.testing.assert_allclose(array(found.logits), heard @ W.T + b, rtol=1e-10, atol=1e-12)
    first = model.decode(inputs[:, :4], state, memory)
    second = model.decode(inputs[:, 4:], first.state, memory)
    assert torch.equal(torch.cat([first.logits, second.logits], dim=1), found.logits)
    later = SOURCE.clone()
    later[:, 2:] = lines("12", "12", "12")
    if lengths is None:
        memory, state = model.encode(later)
        early = model.decode(inputs[:, :2], state, memory)
        torch.testing.assert_close(early.logits, found.logits[:, :2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("score", ["dot", "general", "additive"])
@pytest.mark.parametrize("reverse", [False, True])
def test_attention_gives_no_weight_to_what_fills_and_all_of_it_to_the_rest(reverse, score):
    model = seq2seq(decoder="attention", reverse_source=reverse, attention=score).double()
    memory, state = model.encode(SOURCE, LENGTHS)
    weights = model.decode(INPUTS, state, memory).weights
    assert torch.equal(weights == 0, BEYOND[:, None, :].expand_as(weights))
    np.testing.assert_allclose(array(weights.sum(dim=2)), 1, rtol=1e-12)


def test_attention_to_a_reversed_source_is_found_at_its_places_by_the_positions():
    """Reversed, the filling stays where it is: put in order, no place of the source is lost."""
    model = seq2seq(decoder="attention", reverse_source=True).double()
    memory, state = model.encode(SOURCE, LENGTHS)
    weights = model.decode(INPUTS, state, memory).weights
    places = memory.positions[:, None, :].expand_as(weights)
    in_order = torch.full_like(weights, -1.0).scatter(2, places, weights)
    for n, length in enumerate(LENGTHS.tolist()):
        expected = weights[n, :, :length].flip(1)
        assert torch.equal(in_order[n], torch.cat([expected, weights[n, :, length:]], dim=1))


@pytest.mark.parametrize("kind", ["plain", "peeky", "attention", "input_feeding"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_state_after_a_step_is_the_one_to_go_on_from(cell, kind):
    model = seq2seq(cell=cell, decoder=kind, layers=2).double()
    memory, state = model.encode(SOURCE)
    whole = model.decode(INPUTS, state, memory)
    first = model.decode(INPUTS[:, :1], state, memory)
    second = model.decode(INPUTS[:, 1:], first.state, memory)
    logits = torch.cat([first.logits, second.logits], dim=1)
    torch.testing.assert_close(logits, whole.logits, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(second.state, whole.state, rtol=1e-10, atol=1e-12)


def test_the_query_before_the_first_step_is_the_state_that_the_bridge_brings():
    model = seq2seq(decoder="attention", attention_query="before", layers=2).double()
    memory, state = model.encode(SOURCE)
    whole = model.decode(INPUTS, state, memory)
    first = model.decode(INPUTS[:, :1], state, memory)
    second = model.decode(INPUTS[:, 1:], first.state, memory)
    weights = torch.cat([first.weights, second.weights], dim=1)
    torch.testing.assert_close(weights, whole.weights, rtol=1e-10, atol=1e-12)


def test_one_hot_symbols_are_rows_of_the_identity():
    for dtype in (torch.float32, torch.float64):
        model = seq2seq(embedding="one_hot").to(dtype)
        ones = model.encoder.embedding(SOURCE)
        assert ones.dtype == dtype
        assert torch.equal(ones, torch.eye(12, dtype=dtype)[SOURCE])
        assert "encoder.embedding.one" not in model.state_dict()
        assert model.encoder.recurrent.layers[0].input_size == 12
