import itertools

import numpy as np
import pytest
import torch

from models.toys import LABELS_FORM, array, classifier, lengths_of, lines, softmax
from unroll.models.classifier import MaxPooling
from unroll.models.dropout import set_generator
from unroll.models.encoder import Memory

TEXTS = ("12  ", "5678", "903 ")
SOURCE, LENGTHS = lines(*TEXTS), lengths_of(*TEXTS)
BEYOND = (torch.arange(4) >= LENGTHS[:, None]).numpy()
CHOICES = {
    "cell": ("lstm", "gru", "rnn"),
    "layers": (1, 2),
    "bidirectional": (False, True),
    "reverse_source": (False, True),
    "pooling": ("last", "max", "attention"),
}


def pooled_by_hand(model, pooling: str, lengths) -> np.ndarray:
    memory, state = model.encoder(SOURCE, lengths)
    if pooling == "last":
        return array(state[0][-1])
    states, layer = array(memory.states), model.pooling
    if pooling == "max":
        present = np.ones(states.shape[:2], bool) if lengths is None else ~BEYOND
        return np.stack([of[steps].max(axis=0) for of, steps in zip(states, present, strict=True)])
    keys = np.tanh(states @ array(layer.project.weight).T + array(layer.project.bias))
    scores = keys @ array(layer.query.weight)[0]
    if lengths is not None:
        scores[BEYOND] = -np.inf
    return np.einsum("nt,nth->nh", softmax(scores), states)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["plain", "masked"])
@pytest.mark.parametrize("choice", list(itertools.product(*CHOICES.values())), ids=str)
def test_logits_are_the_affine_layer_over_what_is_pooled(choice, lengths):
    options = dict(zip(CHOICES, choice, strict=True))
    model = classifier(init="default", **options).double()
    pooled = pooled_by_hand(model, options["pooling"], lengths)
    expected = pooled @ array(model.affine.weight).T + array(model.affine.bias)
    found = model(SOURCE, lengths)
    assert found.shape == (3, len(LABELS_FORM.labels))
    np.testing.assert_allclose(array(found), expected, rtol=1e-10, atol=1e-12)
    found.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_last_pooling_takes_the_state_after_each_last_symbol(cell):
    model = classifier(cell=cell).double()
    found = model(SOURCE, LENGTHS)
    states = model.encoder(SOURCE, LENGTHS)[0].states
    last = states[torch.arange(3), LENGTHS - 1]
    torch.testing.assert_close(found, model.affine(last), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pooling", ["last", "max", "attention"])
def test_with_lengths_the_filling_changes_nothing_and_without_it_does(pooling):
    model = classifier(pooling=pooling).double()
    wide = lines(*(text + "   " for text in TEXTS))
    torch.testing.assert_close(model(wide, LENGTHS), model(SOURCE, LENGTHS), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(model(wide), model(SOURCE), rtol=1e-3)


@pytest.mark.parametrize("pooling", ["last", "max", "attention"])
def test_dropout_falls_on_embeddings_and_on_what_is_pooled(pooling):
    model = classifier(cell="rnn", dropout=0.5, pooling=pooling).train()
    set_generator(model, torch.Generator().manual_seed(1))
    found = model(SOURCE)
    generator = torch.Generator().manual_seed(1)

    def drop(x):
        return x * torch.empty(x.shape).bernoulli_(0.5, generator=generator) * 2

    encoder = model.encoder
    states, h = encoder.recurrent.layers[0](drop(encoder.embedding(SOURCE)))
    pooled = h[-1]
    if pooling == "max":
        pooled = states.max(dim=1).values
    if pooling == "attention":
        scores = model.pooling.query(model.pooling.project(states).tanh())
        pooled = (scores.softmax(dim=1) * states).sum(dim=1)
    torch.testing.assert_close(found, model.affine(drop(pooled)))


def memory_of(states, lengths) -> Memory:
    present = None if lengths is None else torch.arange(states.shape[1]) < lengths[:, None]
    positions = torch.arange(states.shape[1]).expand(states.shape[:2])
    return Memory(states, states[:, -1], present, positions)


def test_the_max_pooling_takes_each_feature_where_it_is_greatest():
    states = torch.tensor([[[1.0, -5.0], [3.0, -2.0], [2.0, -9.0]]])
    assert MaxPooling(2)(memory_of(states, None)).tolist() == [[3.0, -2.0]]
    assert not list(MaxPooling(2).parameters())


@pytest.mark.parametrize("filling", [0.0, 9.0, float("inf")])
def test_the_max_pooling_never_takes_the_filling(filling):
    """Also where it is greater than all that was read, as 0 is than states below it."""
    random = np.random.default_rng(0)
    states = -1 - random.random((4, 5, 3))
    lengths = [5, 1, 3, 2]
    expected = [of[:length].max(axis=0) for of, length in zip(states, lengths, strict=True)]
    for of, length in zip(states, lengths, strict=True):
        of[length:] = filling
    found = MaxPooling(3)(memory_of(torch.tensor(states), torch.tensor(lengths)))
    np.testing.assert_array_equal(array(found), expected)


def test_the_max_pooling_learns_only_where_a_feature_was_greatest():
    states = torch.tensor([[[1.0, 5.0], [3.0, 2.0], [8.0, 9.0]]], requires_grad=True)
    MaxPooling(2)(memory_of(states, torch.tensor([2]))).sum().backward()
    assert states.grad.tolist() == [[[0, 1], [1, 0], [0, 0]]]
