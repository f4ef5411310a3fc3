import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from models.toys import DIGITS, array, few_examples, lengths_of, lines, lively, seq2seq, step
from unroll.models.dropout import set_generator

CELLS = ("lstm", "gru", "rnn")
TEXTS = ("12  ", "5678", "903 ")
SOURCE, LENGTHS = lines(*TEXTS), lengths_of(*TEXTS)
TARGETS = lines("_21  ", "_8765", "_309 ")
CHOICES = {
    "bridge": ("hidden", "state"),
    "bidirectional": (False, True),
    "reverse_source": (False, True),
    "masked": (False, True),
}


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("choice", list(itertools.product(*CHOICES.values())), ids=str)
def test_every_combination_learns_and_decodes_step_by_step(cell, decoder, layers, choice):
    options = dict(zip(CHOICES, choice, strict=True))
    lengths = LENGTHS if options.pop("masked") else None
    options |= {"cell": cell, "decoder": decoder, "layers": layers, "init": "default"}
    model = seq2seq(**options).double()
    inputs, expected = TARGETS[:, :-1], TARGETS[:, 1:]
    logits = model(SOURCE, inputs, lengths)
    assert logits.shape == (3, 4, len(DIGITS))
    loss = F.cross_entropy(logits.flatten(0, 1), expected.flatten())
    loss.backward()
    assert loss.isfinite()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), f"{name} has no part in the loss"
    memory, state = model.encode(SOURCE, lengths)
    for t in range(inputs.shape[1]):
        one, state, _ = model.decode(inputs[:, t : t + 1], state, memory)
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
def test_with_lengths_a_model_sees_no_blanks_after_the_source(
    texts, more, cell, decoder, bridge, bidirectional, reverse
):
    model = seq2seq(
        cell=cell,
        decoder=decoder,
        bridge=bridge,
        layers=2,
        bidirectional=bidirectional,
        reverse_source=reverse,
    ).double()
    inputs, lengths = lines("_123").expand(len(texts), -1), lengths_of(*texts)
    expected = model(lines(*(text.ljust(4) for text in texts)), inputs, lengths)
    found = model(lines(*(text.ljust(4 + more) for text in texts)), inputs, lengths)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
def test_without_them_it_does(decoder):
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


def forced(*rows: str) -> torch.Tensor:
    """Return a mask, true where there is a 1."""
    return torch.tensor([[sign == "1" for sign in row] for row in rows])


@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["plain", "masked"])
def test_forced_at_every_step_is_the_parallel_pass(decoder, lengths):
    model = lively(decoder=decoder, layers=2).double()
    everywhere = torch.ones_like(TARGETS, dtype=torch.bool)
    found, expected = model(SOURCE, TARGETS, lengths, everywhere), model(SOURCE, TARGETS, lengths)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


MASKS = {
    "free": forced("00000", "00000", "00000"),
    "free, the first step said to be forced": forced("10000", "10000", "10000"),
    "by sequence": forced("11111", "00000", "11111"),
    "by step": forced("10110", "01001", "00101"),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize("cell", CELLS)
def test_where_it_is_not_forced_the_decoder_reads_what_it_found_likeliest(cell, mask):
    """By hand, in NumPy: the first symbol is read as it is, whatever the mask says."""
    model = lively(cell=cell).double()
    decoder, (_, state) = model.decoder, model.encode(SOURCE)
    now, logits, own = tuple(array(part[0]) for part in state), [], []
    for t in range(TARGETS.shape[1]):
        read = TARGETS[:, t].numpy()
        if t:
            own.append(logits[-1].argmax(axis=1))
            read = np.where(mask[:, t], read, own[-1])
        x = array(decoder.embedding.weight)[read]
        now = step(cell, decoder.recurrent.layers[0], x, now)
        logits.append(now[0] @ array(decoder.affine.weight).T + array(decoder.affine.bias))
    assert (np.stack(own, axis=1) != TARGETS[:, 1:].numpy()).any(axis=0).all()  # it matters
    found = array(model(SOURCE, TARGETS, None, mask))
    np.testing.assert_allclose(found, np.stack(logits, axis=1), rtol=1e-10, atol=1e-12)


def test_no_gradient_goes_through_the_choice_and_all_other_ways_are_open():
    model = lively(init="default").double()
    model(SOURCE, TARGETS, None, MASKS["free"])[:, -1].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name
    read = set(TARGETS[:, 0].tolist()) | set(
        model(SOURCE, TARGETS, None, MASKS["free"])[:, :-1].argmax(dim=2).flatten().tolist()
    )
    embedded = model.decoder.embedding.weight.grad.any(dim=1).nonzero().flatten().tolist()
    assert set(embedded) == read
