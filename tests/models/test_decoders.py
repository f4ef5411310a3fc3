import numpy as np
import pytest
import torch

from models.toys import array, lengths_of, lines, seq2seq, softmax, step

CELLS = ("lstm", "gru", "rnn")
TEXTS = ("12  ", "5678", "903 ")
SOURCE, LENGTHS, INPUTS = lines(*TEXTS), lengths_of(*TEXTS), lines("_12", "_45", "_9 ")
BEYOND = torch.arange(4) >= LENGTHS[:, None]  # (N, T_source): the filling


def by_hand(model, cell: str, kind: str, lengths=None) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode step by step from the equations; the model has one layer. Logits and weights."""
    memory, state = model.encode(SOURCE, lengths)
    decoder, states, h_encoder = model.decoder, array(memory.states), array(memory.summary)
    W, b = array(decoder.affine.weight), array(decoder.affine.bias)
    now = tuple(array(part[0]) for part in state)
    logits, weights = [], []
    for t in range(INPUTS.shape[1]):
        x = array(decoder.embedding.weight)[INPUTS[:, t].numpy()]
        if kind == "peeky":
            x = np.concatenate([h_encoder, x], axis=1)
        now = step(cell, decoder.recurrent.layers[0], x, now)
        h = now[0]
        if kind == "peeky":
            h = np.concatenate([h_encoder, h], axis=1)
        if kind == "attention":
            scores = np.einsum("nth,nh->nt", states, h)
            if lengths is not None:
                scores[BEYOND.numpy()] = -np.inf
            weights.append(softmax(scores))
            context = np.einsum("nt,nth->nh", weights[-1], states)
            h = np.concatenate([context, h], axis=1)
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


@pytest.mark.parametrize("reverse", [False, True])
def test_attention_gives_no_weight_to_what_fills_and_all_of_it_to_the_rest(reverse):
    model = seq2seq(decoder="attention", reverse_source=reverse).double()
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


@pytest.mark.parametrize("kind", ["plain", "peeky", "attention"])
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
