import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from models.toys import DIGITS, few_examples, lines, seq2seq
from unroll.models.layers import set_generator

CELLS = ("lstm", "gru", "rnn")
SOURCE = lines("12  ", "5678", "903 ")
TARGETS = lines("_21  ", "_8765", "_309 ")
CHOICES = {
    "bridge": ("hidden", "state"),
    "bidirectional": (False, True),
    "reverse_source": (False, True),
    "padding": ("plain", "masked"),
}


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("choice", list(itertools.product(*CHOICES.values())), ids=str)
def test_every_combination_learns_and_decodes_step_by_step(cell, decoder, layers, choice):
    options = dict(zip(CHOICES, choice, strict=True))
    model = seq2seq(cell=cell, decoder=decoder, layers=layers, **options).double()
    inputs, expected = TARGETS[:, :-1], TARGETS[:, 1:]
    logits = model(SOURCE, inputs)
    assert logits.shape == (3, 4, len(DIGITS))
    loss = F.cross_entropy(logits.flatten(0, 1), expected.flatten())
    loss.backward()
    assert loss.isfinite()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), f"{name} has no part in the loss"
    memory, state = model.encode(SOURCE)
    for t in range(inputs.shape[1]):
        one, state = model.decode(inputs[:, t : t + 1], state, memory)
        torch.testing.assert_close(one[:, 0], logits[:, t], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_bridge_hidden_passes_h_alone_and_state_all(layers):
    _, (h, c) = seq2seq(layers=layers).encoder(SOURCE)
    _, hidden = seq2seq(layers=layers, bridge="hidden").encode(SOURCE)
    _, state = seq2seq(layers=layers, bridge="state").encode(SOURCE)
    assert torch.equal(hidden[0], h) and torch.equal(state[0], h)
    assert torch.equal(hidden[1], torch.zeros_like(c))
    assert torch.equal(state[1], c) and c.any()


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_without_c_both_bridges_are_the_same(cell):
    one, other = (seq2seq(cell=cell, bridge=bridge) for bridge in ("hidden", "state"))
    assert torch.equal(one(SOURCE, TARGETS), other(SOURCE, TARGETS))


@few_examples
@given(
    texts=st.lists(st.from_regex("[0-9]{1,4}", fullmatch=True), min_size=1, max_size=4),
    more=st.integers(1, 5),
    cell=st.sampled_from(CELLS),
    decoder=st.sampled_from(["plain", "peeky", "attention"]),
    bridge=st.sampled_from(["hidden", "state"]),
    bidirectional=st.booleans(),
    reverse=st.booleans(),
)
def test_masked_sees_no_blanks_after_the_source(
    texts, more, cell, decoder, bridge, bidirectional, reverse
):
    model = seq2seq(
        cell=cell,
        decoder=decoder,
        bridge=bridge,
        layers=2,
        bidirectional=bidirectional,
        reverse_source=reverse,
        padding="masked",
    ).double()
    inputs = lines("_123").expand(len(texts), -1)
    expected = model(lines(*(text.ljust(4) for text in texts)), inputs)
    found = model(lines(*(text.ljust(4 + more) for text in texts)), inputs)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
def test_plain_padding_does_see_them(decoder):
    model = seq2seq(decoder=decoder)
    one, other = (model(lines(text), lines("_12")) for text in ("12 ", "12   "))
    assert not torch.allclose(one, other, rtol=1e-3)


def test_dropout_falls_on_embeddings_and_before_the_affine_layer():
    model = seq2seq(cell="rnn", dropout=0.5).train()
    set_generator(model, torch.Generator().manual_seed(1))
    found = model(SOURCE, TARGETS)
    generator = torch.Generator().manual_seed(1)

    def drop(x):
        return x * torch.empty(x.shape).bernoulli_(0.5, generator=generator) * 2

    encoder, decoder = model.encoder, model.decoder
    _, h = encoder.recurrent.layers[0](drop(encoder.embedding(SOURCE)))
    hidden, _ = decoder.recurrent.layers[0](drop(decoder.embedding(TARGETS)), h)
    torch.testing.assert_close(found, decoder.affine(drop(hidden)))
