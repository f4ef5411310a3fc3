import numpy as np
import pytest
import torch

from models.toys import array, lines, seq2seq, softmax, step

CELLS = ("lstm", "gru", "rnn")
SOURCE, INPUTS = lines("12  ", "5678", "903 "), lines("_12", "_45", "_9 ")


def logits_by_hand(model, cell: str, kind: str) -> np.ndarray:
    """Decode step by step from the equations; the model has one layer."""
    memory, state = model.encode(SOURCE)
    decoder, states, h_encoder = model.decoder, array(memory.states), array(memory.summary)
    W, b = array(decoder.affine.weight), array(decoder.affine.bias)
    now = tuple(array(part[0]) for part in state)
    logits = []
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
            scores[array(memory.present) == 0] = -np.inf
            context = np.einsum("nt,nth->nh", softmax(scores), states)
            h = np.concatenate([context, h], axis=1)
        logits.append(h @ W.T + b)
    return np.stack(logits, axis=1)


@pytest.mark.parametrize("kind", ["plain", "peeky", "attention"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_decoder_follows_its_equations(cell, kind):
    model = seq2seq(cell=cell, decoder=kind, bridge="state", padding="masked").double()
    expected = logits_by_hand(model, cell, kind)
    np.testing.assert_allclose(array(model(SOURCE, INPUTS)), expected, rtol=1e-10, atol=1e-12)


def test_attention_weights_are_the_softmax_over_the_steps_of_the_source():
    model = seq2seq(decoder="attention").double()
    memory, _ = model.encode(SOURCE)
    hidden = torch.randn(3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = softmax(array(hidden) @ array(memory.states).transpose(0, 2, 1))
    found = array(model.decoder.attend(hidden, memory))
    assert found.shape == (3, 2, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=2), 1, rtol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_masked_attention_gives_no_weight_to_blanks(reverse):
    model = seq2seq(decoder="attention", padding="masked", reverse_source=reverse)
    memory, _ = model.encode(SOURCE)
    weights = model.decoder.attend(torch.ones(3, 2, 4), memory)
    is_blank = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1]]).bool()
    assert torch.equal(weights == 0, is_blank[:, None, :].expand_as(weights))
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(3, 2))
