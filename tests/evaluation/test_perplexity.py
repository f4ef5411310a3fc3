import math

import numpy as np
import pytest
import torch

from models.toys import array, language_model, log_softmax, steps, zero
from unroll.evaluation import perplexity as module
from unroll.evaluation.perplexity import perplexity

WORDS, EOS = 7, 0
TOKENS = torch.tensor([3, 1, 0, 6, 6, 2, 5, 0, 4])


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_perplexity_follows_its_equation(cell):
    model = language_model(WORDS, cell=cell).double()
    inputs = [EOS, *TOKENS[:-1].tolist()]
    outputs, _ = steps(cell, model.recurrent.layers[0], array(model.embedding.weight)[[inputs]])
    logits = outputs[0] @ array(model.affine.weight).T + array(model.affine.bias)
    log_likelihoods = log_softmax(logits)[np.arange(len(TOKENS)), TOKENS]
    expected = np.exp(-log_likelihoods.mean())
    assert perplexity(model, TOKENS, EOS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("window", [1, 2, 4, 8, 9, 10])
def test_the_window_changes_nothing(monkeypatch, window):
    model = language_model(WORDS, layers=2).double()
    expected = perplexity(model, TOKENS, EOS)
    monkeypatch.setattr(module, "WINDOW", window)
    assert perplexity(model, TOKENS, EOS) == pytest.approx(expected, rel=1e-12)


def test_every_token_counts_once():
    model = language_model(WORDS).double()
    zero(model)  # what was read does not matter: the bias alone decides
    with torch.no_grad():
        model.affine.bias.copy_(torch.arange(WORDS))
    costs = -log_softmax(np.arange(WORDS, dtype=float))
    expected = math.exp(sum(costs[token] for token in TOKENS.tolist()) / len(TOKENS))
    assert perplexity(model, TOKENS, EOS) == pytest.approx(expected, rel=1e-12)
    assert perplexity(model, TOKENS[:1], EOS) == pytest.approx(math.exp(costs[3]), rel=1e-12)


def test_a_model_that_knows_nothing_is_as_perplexed_as_it_has_words():
    model = language_model(WORDS)
    zero(model)
    assert perplexity(model, TOKENS, EOS) == pytest.approx(WORDS, rel=1e-6)


def test_dropout_is_off():
    model = language_model(WORDS, dropout=0.5, layers=2)
    expected = perplexity(model.eval(), TOKENS, EOS)
    assert perplexity(model.train(), TOKENS, EOS) == expected
