"""Models on another device than the lengths of what they read: these stay on the CPU."""

import pytest
import torch

from models.toys import labels_options, seq2seq
from unroll.kinds import kind_of

# A device that every machine has: it knows shapes and devices, and refuses to mix two of them.
OTHER = "meta"
LENGTHS = torch.full((3,), 4)  # nothing is filled: packing needs numbers, which OTHER lacks
SOURCE = torch.zeros((3, 4), dtype=torch.long, device=OTHER)


@pytest.mark.parametrize("reverse_source", [False, True])
@pytest.mark.parametrize("decoder", ["plain", "peeky", "attention"])
def test_seq2seq_takes_lengths_of_the_cpu(decoder, reverse_source):
    model = seq2seq(decoder=decoder, reverse_source=reverse_source, padding="masked").to(OTHER)
    logits = model(SOURCE, SOURCE, LENGTHS)
    assert logits.device.type == OTHER
    assert logits.shape == (3, 4, model.decoder.affine.out_features)


@pytest.mark.parametrize("reverse_source", [False, True])
@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_a_classifier_takes_lengths_of_the_cpu(pooling, reverse_source):
    options = labels_options(pooling=pooling, reverse_source=reverse_source, padding="masked")
    kind = kind_of(options)
    form = kind.form(kind.made_up(options))
    model = kind.build(options, form).to(OTHER)
    assert model(SOURCE, LENGTHS).shape == (3, len(form.labels))


def test_devices_are_not_mixed_unseen():
    with pytest.raises(RuntimeError, match="device"):
        torch.zeros(3, 4, device=OTHER).masked_fill(torch.ones(3, 4, dtype=torch.bool), 0.0)
