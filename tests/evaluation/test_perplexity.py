import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from models.toys import array, few_examples, language_model, log_softmax, steps, zero
from unroll.data import batches
from unroll.evaluation import reading
from unroll.evaluation.perplexity import perplexity, token_losses

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
    monkeypatch.setattr(batches, "LARGEST", window * WORDS)
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


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_loss_of_each_token_follows_its_equation(cell):
    model = language_model(WORDS, cell=cell)
    inputs = [EOS, *TOKENS[:-1].tolist()]
    embedded = array(model.embedding.weight).astype(np.float64)[[inputs]]
    outputs, _ = steps(cell, model.recurrent.layers[0], embedded)
    logits = outputs[0] @ array(model.affine.weight).T + array(model.affine.bias)
    expected = -log_softmax(logits)[np.arange(len(TOKENS)), TOKENS]
    found = token_losses(model, TOKENS, EOS)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("window", [1, 2, 4, 8, 9, 10])
def test_the_window_changes_no_loss(monkeypatch, window):
    model = language_model(WORDS, layers=2).double()
    expected = token_losses(model, TOKENS, EOS)
    monkeypatch.setattr(batches, "LARGEST", window * WORDS)
    np.testing.assert_allclose(token_losses(model, TOKENS, EOS), expected, rtol=1e-12)


TEXT = torch.randint(0, WORDS, (2_003,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("streams", [2, 4])
def test_a_text_in_several_streams_is_that_in_one(cell, streams):
    one = language_model(WORDS, cell=cell, layers=2).double()
    several = language_model(WORDS, cell=cell, layers=2, evaluation_batch_size=streams).double()
    several.load_state_dict(one.state_dict())
    expected = token_losses(one, TEXT, EOS)
    np.testing.assert_allclose(token_losses(several, TEXT, EOS), expected, rtol=1e-9)


@pytest.mark.parametrize("streams", [3, 50])
def test_a_stream_begins_with_the_words_before_its_own(monkeypatch, streams):
    monkeypatch.setattr(reading, "WARM_UP", 4)
    model = language_model(WORDS, evaluation_batch_size=streams).double()
    text = TEXT[:42]
    count = min(streams, 10)  # a stream has no fewer words than those before it
    length = math.ceil(len(text) / count)
    inputs = torch.cat([torch.tensor([EOS]), text[:-1]])
    expected = []
    for first in range(0, len(text), length):
        before = max(0, first - 4)
        logits, _ = model(inputs[None, before : first + length])
        own = logits[0, first - before :]
        expected.append(F.cross_entropy(own, text[first : first + length], reduction="none"))
    np.testing.assert_allclose(
        token_losses(model, text, EOS), torch.cat(expected).detach(), rtol=1e-12
    )


@pytest.mark.parametrize("streams", [1, 3])
def test_a_text_is_read_where_the_model_lies(monkeypatch, streams):
    monkeypatch.setattr(reading, "WARM_UP", 2)
    model = language_model(WORDS, evaluation_batch_size=streams).to("meta")  # as on a GPU
    for tokens in (TOKENS.to("meta"), TOKENS):
        for found, expected, places in reading.outputs(model, tokens, EOS):
            assert (found.device.type, places.device.type) == ("meta", "cpu")
            assert expected.device.type == "meta"


def test_of_a_short_text_one_stream_is_read():
    model = language_model(WORDS, evaluation_batch_size=64)
    [(found, expected, places)] = reading.outputs(model, TOKENS, EOS)
    assert found.shape[:2] == (1, len(TOKENS))
    assert torch.equal(expected, TOKENS)
    assert torch.equal(places, torch.arange(len(TOKENS)))


@few_examples
@given(
    tokens=st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=12),
    more=st.lists(st.integers(0, WORDS - 1), max_size=5),
)
def test_no_loss_depends_on_the_tokens_that_follow(tokens, more):
    model = language_model(WORDS).double()
    longer = token_losses(model, torch.tensor(tokens + more), EOS)
    shorter = token_losses(model, torch.tensor(tokens), EOS)
    np.testing.assert_allclose(longer[: len(tokens)], shorter, rtol=1e-12)
    expected = perplexity(model, torch.tensor(tokens), EOS)
    assert shorter.mean().exp().item() == pytest.approx(expected, rel=1e-12)
