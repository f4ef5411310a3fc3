import numpy as np
import pytest
import torch

from models.toys import DIGITS, START, lines, lively
from unroll.evaluation.attention import attention_weights

SOURCES, ANSWERS = lines("123 ", "45  "), lines("31", "54")


def attention_model(**changes):
    return lively(decoder="attention", **changes).eval()


@pytest.mark.parametrize("padding", ["plain", "masked"])
@pytest.mark.parametrize("reverse_source", [False, True])
def test_the_weights_explain_the_logits(padding, reverse_source):
    """The context that they give, put through the affine layer, is what the model computes."""
    model = attention_model(padding=padding, reverse_source=reverse_source)
    weights = attention_weights(model, SOURCES, START, ANSWERS)
    assert weights.shape == (2, 2, 4)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 2))
    memory, state = model.encode(SOURCES)
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
    logits = model(SOURCES, inputs).detach().numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_masked_blanks_are_not_looked_at():
    weights = attention_weights(attention_model(padding="masked"), SOURCES, START, ANSWERS)
    assert (weights[SOURCES[:, None, :].expand_as(weights) == DIGITS.ids[" "]] == 0).all()
