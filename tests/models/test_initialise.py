import math

import pytest
import torch
from torch import nn

from models.toys import (
    FORM,
    classifier,
    corpus_form,
    corpus_options,
    language_model,
    pairs_options,
    seq2seq,
)
from unroll.kinds import kind_of
from unroll.models.budget import count_parameters
from unroll.models.initialise import freeze, initialise
from unroll.models.language_model import LanguageModel
from unroll.models.seq2seq import Seq2Seq


def built(scheme: str = "book", **changes) -> nn.Module:
    options = pairs_options(init=scheme, **changes)
    return kind_of(options).build(options, FORM)


def drawn(scheme: str = "book", seed: int = 0, **options) -> nn.Module:
    model = built(scheme, **options)
    initialise(model, scheme, seed)
    return model


def big(scheme: str, **options) -> LanguageModel:
    """Return a language model with enough weights to measure their spread."""
    options = corpus_options(embedding_size=80, hidden_size=80, **options)
    model = LanguageModel(options, corpus_form(600))
    initialise(model, scheme, seed=0)
    return model


def spread(x: torch.Tensor, expected: float, highest: float) -> None:
    """Check mean, standard deviation, and the highest value in standard deviations."""
    error = expected / math.sqrt(x.numel())
    assert abs(x.mean().item()) < 5 * error
    assert abs(x.std().item() - expected) < 5 * error
    assert x.abs().max().item() <= highest * expected * (1 + 1e-6)
    assert x.abs().max().item() > 0.99 * min(highest, 3) * expected


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_book_draws_normal_matrices_by_their_fan_in(cell):
    options = corpus_options(cell=cell, embedding_size=60, hidden_size=80)
    model = LanguageModel(options, corpus_form(600))
    initialise(model, "book", seed=0)
    layer = model.recurrent.layers[0]
    spread(model.embedding.weight, 0.01, highest=6)
    spread(layer.weight_ih_l0, 1 / math.sqrt(60), highest=6)
    spread(layer.weight_hh_l0, 1 / math.sqrt(80), highest=6)
    spread(model.affine.weight, 1 / math.sqrt(80), highest=6)


def test_default_draws_as_pytorch_does():
    model = big("default")
    layer = model.recurrent.layers[0]
    spread(model.embedding.weight, 1.0, highest=6)
    uniform = 1 / math.sqrt(80) / math.sqrt(3)
    matrices = (layer.weight_ih_l0, layer.weight_hh_l0, model.affine.weight)
    for matrix in (*matrices, layer.bias_ih_l0, layer.bias_hh_l0):
        spread(matrix, uniform, highest=math.sqrt(3))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_small_draws_all_matrices_alike_and_no_biases():
    model = big("small")
    layer = model.recurrent.layers[0]
    for matrix in (
        model.embedding.weight,
        layer.weight_ih_l0,
        layer.weight_hh_l0,
        model.affine.weight,
    ):
        spread(matrix, 0.01, highest=6)
    for bias in (layer.bias_ih_l0, layer.bias_hh_l0, model.affine.bias):
        assert not bias.any()
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_book_trains_one_bias_per_gate_and_all_begin_with_zero():
    model = drawn(layers=2, bidirectional=True)
    biases = {name: p for name, p in model.named_parameters() if "bias" in name}
    assert len(biases) == 2 * 2 * 2 + 2 * 2 + 1
    for name, bias in biases.items():
        assert not bias.any()
        assert bias.requires_grad == ("bias_hh" not in name)
    trained = drawn("default", layers=2, bidirectional=True)
    seconds = sum(bias.numel() for name, bias in biases.items() if "bias_hh" in name)
    assert count_parameters(trained) - count_parameters(model) == seconds == 4 * 4 * 4


@pytest.mark.parametrize("scheme", ["book", "default", "small"])
@pytest.mark.parametrize(
    "change",
    [
        {"decoder": "peeky"},
        {"decoder": "attention", "bridge": "state"},
        {"layers": 2},
        {"reverse_source": True, "padding": "masked", "teacher_forcing": 0.5},
        {"hidden_size": 6},
    ],
    ids=str,
)
def test_variants_begin_alike_wherever_their_shapes_agree(scheme, change):
    one = dict(drawn(scheme).named_parameters())
    other = dict(drawn(scheme, **change).named_parameters())
    same = [name for name in one if name in other and one[name].shape == other[name].shape]
    assert {"encoder.embedding.weight", "decoder.embedding.weight"} <= set(same)
    for name in same:
        # The bounds of an affine layer's bias are those of its matrix, which may be wider.
        if scheme != "default" or name != "decoder.affine.bias":
            assert torch.equal(one[name], other[name]), name


def test_each_parameter_has_draws_of_its_own():
    model = drawn()
    assert not torch.equal(model.encoder.embedding.weight, model.decoder.embedding.weight)
    layer = model.encoder.recurrent.layers[0]
    assert not torch.equal(layer.weight_ih_l0, layer.weight_hh_l0)  # of one shape: D = H


@pytest.mark.parametrize("scheme", ["book", "default", "small"])
def test_the_seed_decides_and_nothing_else(scheme):
    torch.manual_seed(1)
    one = drawn(scheme).state_dict()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    model = built()
    after_building = torch.get_rng_state()
    initialise(model, scheme, seed=0)
    assert torch.equal(torch.get_rng_state(), after_building)
    assert not torch.equal(before, after_building)  # PyTorch's own draws were replaced
    assert all(torch.equal(one[name], p) for name, p in model.state_dict().items())
    other = drawn(scheme, seed=1)
    assert not torch.equal(one["encoder.embedding.weight"], other.encoder.embedding.weight)


def test_a_shared_matrix_is_an_embedding_to_book_and_an_affine_layer_to_others():
    for scheme in ("book", "default", "small"):
        tied, free = big(scheme, tie_weights=True), big(scheme)
        assert tied.embedding.weight is tied.affine.weight
        owner = free.embedding if scheme == "book" else free.affine
        assert torch.equal(tied.affine.weight, owner.weight)


def test_every_parameter_is_drawn():
    models = (
        seq2seq(layers=2, bidirectional=True),
        language_model(layers=2),
        classifier(pooling="attention"),
    )
    for model in models:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(math.nan)
        for scheme in ("book", "default", "small"):
            initialise(model, scheme, seed=0)
            assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("scheme", ["book", "default", "small"])
@pytest.mark.parametrize("tie", [False, True])
def test_the_numbers_are_drawn_in_float64_and_rounded_to_the_precision_of_the_model(scheme, tie):
    options = corpus_options(tie_weights=tie, layers=2)
    found = {}
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        model = LanguageModel(options, corpus_form()).to(dtype)
        initialise(model, scheme, seed=3)
        found[dtype] = dict(model.named_parameters())
    beyond_float32 = []
    for name, exact in found[torch.float64].items():
        assert exact.dtype == torch.float64
        assert torch.equal(found[torch.float32][name], exact.float())
        assert torch.equal(found[torch.bfloat16][name], exact.bfloat16())
        beyond_float32.append(not torch.equal(exact.float().double(), exact))
    assert any(beyond_float32)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("scheme", ["book", "default", "small"])
def test_freeze_takes_the_second_bias_out_of_training_and_draws_nothing(scheme, device):
    with torch.device(device):
        model = Seq2Seq(pairs_options(layers=2, bidirectional=True), FORM)
    values = {name: p.detach().clone() for name, p in model.named_parameters()}
    before = torch.get_rng_state()
    for earlier in ("book", "default", "small"):
        freeze(model, earlier)  # the last word counts
        freeze(model, scheme)
        for name, parameter in model.named_parameters():
            assert parameter.requires_grad == (scheme != "book" or "bias_hh" not in name)
    assert torch.equal(torch.get_rng_state(), before)
    if device == "cpu":
        assert all(torch.equal(values[name], p) for name, p in model.named_parameters())


def test_drawing_leaves_to_freeze_what_is_trained():
    model = built("book")
    initialise(model, "default", seed=0)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if "bias_hh" in name}
