import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.toys import array, language_model, steps
from unroll.models.budget import count_parameters
from unroll.models.dropout import set_generator

WORDS = 7
TOKENS = torch.tensor([[0, 3, 1, 6, 2], [5, 4, 4, 0, 1]])
TARGETS = TOKENS.roll(-1, dims=1)
CHOICES = {
    "layers": (1, 2),
    "skip_connections": (False, True),
    "tie_weights": (False, True),
    "dropout": (0.0, 0.3),
    "variational_dropout": (False, True),
}


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("choice", list(itertools.product(*CHOICES.values())), ids=str)
def test_every_combination_learns_and_carries_its_state(cell, choice):
    options = dict(zip(CHOICES, choice, strict=True))
    model = language_model(WORDS, cell=cell, init="default", **options).double()
    set_generator(model, torch.Generator().manual_seed(0))
    loss, state = model.train().loss(TOKENS, TARGETS, None)
    loss.backward()
    assert loss.isfinite()
    assert all(part.shape == (options["layers"], 2, 4) for part in state)
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), f"{name} has no part in the loss"
    whole, end = model.eval()(TOKENS)
    assert whole.shape == (2, 5, WORDS)
    first, between = model(TOKENS[:, :2])
    second, after = model(TOKENS[:, 2:], between)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(after, end, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_logits_are_the_affine_layer_over_the_recurrent_ones(cell):
    model = language_model(WORDS, cell=cell, layers=2, skip_connections=True).double()
    below, _ = steps(cell, model.recurrent.layers[0], array(model.embedding.weight)[TOKENS])
    above, _ = steps(cell, model.recurrent.layers[1], below)
    expected = (above + below) @ array(model.affine.weight).T + array(model.affine.bias)
    np.testing.assert_allclose(array(model(TOKENS)[0]), expected, rtol=1e-10, atol=1e-12)


def test_the_loss_is_the_mean_cross_entropy_of_the_targets():
    model = language_model(WORDS, layers=2)
    state = model(TOKENS)[1]
    loss, after = model.loss(TOKENS, TARGETS, state)
    logits, expected_state = model(TOKENS, state)
    expected = F.cross_entropy(logits.flatten(0, 1), TARGETS.flatten())
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    assert all(torch.equal(a, b) for a, b in zip(after, expected_state, strict=True))


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_falls_after_the_embedding_and_before_the_affine_layer(variational):
    model = language_model(WORDS, cell="rnn", dropout=0.5, variational_dropout=variational)
    set_generator(model, torch.Generator().manual_seed(1))
    found, _ = model.train()(TOKENS)
    generator = torch.Generator().manual_seed(1)

    def drop(x):
        keep = torch.empty(len(x), 1 if variational else x.shape[1], x.shape[2])
        return x * keep.bernoulli_(0.5, generator=generator) * 2

    hidden, _ = model.recurrent.layers[0](drop(model.embedding(TOKENS)))
    torch.testing.assert_close(found, model.affine(drop(hidden)))


def test_tied_weights_are_one_matrix_and_count_once():
    tied, free = language_model(WORDS, tie_weights=True), language_model(WORDS)
    assert tied.embedding.weight is tied.affine.weight
    assert count_parameters(free) - count_parameters(tied) == WORDS * 4
