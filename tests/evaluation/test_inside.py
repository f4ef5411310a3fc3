"""What is found inside a language model, by the equations and by trying."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models.toys import (
    CPU,
    array,
    corpus,
    corpus_options,
    few_examples,
    language_model,
    log_softmax,
    sigmoid,
    softmax,
    steps,
)
from unroll.data.corpus import Corpus, CorpusForm
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError
from unroll.evaluation import inside
from unroll.evaluation.inside import (
    correlations,
    gates,
    gradient_norms,
    influences,
    look_inside,
    quotation_open,
    reach,
    saturations,
    spectra,
    trace,
    traits,
    units,
)
from unroll.training.corpus import CorpusObjective

WORDS, EOS = 7, 0
TOKENS = torch.tensor([3, 1, 0, 6, 6, 2, 5, 0, 4, 1, 1, 3, 0, 2, 5])
ALL = [
    {"cell": "rnn"},
    {"cell": "gru", "layers": 2},
    {"cell": "lstm", "layers": 2, "skip_connections": True, "weight_drop": 0.5},
    {"mogrifier_rounds": 3, "softmaxes": 2},
]


def lively(seed: int = 0, **changes):
    """Return a model in float64 that is not nearly linear."""
    model = language_model(WORDS, seed, **changes).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.7)
    return model


def text(count: int, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).integers(0, WORDS, count))


# Gradients


def test_the_gradient_through_a_simple_net_follows_its_equation(monkeypatch):
    """dL/dh(t-1) = W_h' (1 - h(t)²) dL/dh(t), from dL/dh = W_a' (p - y)."""
    monkeypatch.setattr(inside, "STEPS", 3)
    monkeypatch.setattr(inside, "PLACES", 2)
    model = lively(cell="rnn")
    layer, read = model.recurrent.layers[0], text(9)
    W_h, W_a = array(layer.weight_hh_l0), array(model.affine.weight)
    expected = np.zeros(4)
    for place in (6, 8):  # the first and the last that have words enough before them
        embedded = array(model.embedding.weight)[read[place - 6 : place]]
        hidden, _ = steps("rnn", layer, embedded[None])
        p = softmax(hidden[0, -1] @ W_a.T + array(model.affine.bias))
        p[read[place]] -= 1
        gradient = p @ W_a
        expected[0] += np.linalg.norm(gradient) / 2
        for k in range(3):
            gradient = ((1 - hidden[0, -1 - k] ** 2) * gradient) @ W_h
            expected[k + 1] += np.linalg.norm(gradient) / 2
    np.testing.assert_allclose(reach(model, read), expected, rtol=1e-10)


@pytest.mark.parametrize("changes", ALL, ids=str)
def test_the_gradient_is_how_the_loss_changes_with_the_hidden_state(monkeypatch, changes):
    monkeypatch.setattr(inside, "STEPS", 2)
    monkeypatch.setattr(inside, "PLACES", 1)
    model, read = lively(**changes), text(5)

    def loss(state, words):
        outputs, _ = model.features(words[None], state)
        return -log_softmax(array(model.logits(outputs))[0, -1])[read[4]]

    found = reach(model, read)
    for k in (1, 2):
        _, state = model.features(read[None, : 4 - k], None)
        h, *others = (part.detach() for part in state)
        gradient = np.zeros(h.numel())
        for i in range(h.numel()):
            change = torch.zeros(h.numel(), dtype=h.dtype)
            change[i] = 1e-6
            up, down = (
                loss((h + sign * change.view_as(h), *others), read[4 - k : 4]) for sign in (1, -1)
            )
            gradient[i] = (up - down) / 2e-6
        assert found[k] == pytest.approx(np.linalg.norm(gradient), rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_norms_of_windows_are_those_that_training_would_clip(batch_size):
    options = corpus_options(batch_size=batch_size, time_steps=3, slowness_penalty=0.5)
    model = language_model(WORDS, dropout=0.5, slowness_penalty=0.5).eval()
    found = gradient_norms(model, TOKENS, options)
    objective = CorpusObjective(model, corpus(TOKENS.numpy()), options, 0, CPU)
    expected = []
    for loss in objective.losses(1):
        model.zero_grad()
        loss.backward()
        expected.append(nn.utils.clip_grad_norm_(model.parameters(), 1e9).item())
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert len(found) == len(expected) == objective.steps


def test_what_is_not_trained_has_no_part_in_the_norm():
    model = language_model(WORDS)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name == "affine.bias")
    options = corpus_options(batch_size=1, time_steps=len(TOKENS))
    (found,) = gradient_norms(model, TOKENS, options)
    logits, _ = model(TOKENS[None, :-1])
    p = softmax(array(logits)[0].astype(float)) - np.eye(WORDS)[TOKENS[1:]]
    assert found == pytest.approx(np.linalg.norm(p.mean(axis=0)), rel=1e-5)


# Matrices


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("rnn", ["recurrent"]),
        ("gru", ["reset", "update", "candidate"]),
        ("lstm", ["input", "forget", "candidate", "output"]),
    ],
)
def test_each_part_of_each_layer_has_its_singular_values(cell, names):
    first, trained = (language_model(WORDS, seed, cell=cell, layers=2) for seed in (0, 1))
    found = spectra(first, trained)
    assert [(one.layer, one.part) for one in found] == [(n, p) for n in (1, 2) for p in names]
    for i, one in enumerate(found):
        layer, part = divmod(i, len(names))
        for model, values in ((first, one.first), (trained, one.trained)):
            W = array(model.recurrent.layers[layer].weight_hh_l0)[4 * part : 4 * part + 4]
            expected = np.linalg.svd(W.astype(float), compute_uv=False)
            np.testing.assert_allclose(values, expected, rtol=1e-6)


# Words


@pytest.mark.parametrize("changes", ALL, ids=str)
def test_the_influence_of_a_word_is_how_the_prediction_changes_with_its_embedding(changes):
    model, read = lively(**changes), torch.tensor([2, 3, 0, 5, 1, 1, 6, 2, 4, 0, 3])
    (found,) = influences(model, corpus(read.numpy(), read.numpy()), read)
    assert found.words == ["<eos>", "w5", "w1", "w1", "w6", "w2"]
    assert found.truth == "w4"
    stream = torch.tensor([EOS, *read.tolist()])
    logits, _ = model(stream[None, :9])
    logs = log_softmax(array(logits)[0, -1])
    assert found.predicted == model_words()[logs.argmax()]
    assert found.probability == pytest.approx(np.exp(logs.max()))
    _, state = model.features(stream[None, :3], None)
    embedded = model.embedding(stream[3:9]).detach()

    def likelihood(given):
        outputs, _ = model.recurrent(given[None], state)
        return log_softmax(array(model.logits(outputs))[0, -1])[logs.argmax()]

    for t in range(6):
        changed = []
        for d in range(4):
            change = torch.zeros_like(embedded)
            change[t, d] = 1e-6
            up, down = (likelihood(embedded + sign * change) for sign in (1, -1))
            changed.append((up - down) / 2e-6)
        assert found.norms[t] == pytest.approx(np.linalg.norm(changed), rel=1e-5, abs=1e-9)


def model_words() -> list[str]:
    return ["<eos>", *(f"w{i}" for i in range(1, WORDS))]


def spoken(*lines: str) -> Corpus:
    """Return a corpus of which all splits are these lines."""
    words = [word for line in lines for word in (*line.split(), "<eos>")]
    vocabulary = Vocabulary.by_first_appearance(
        ["<eos>", *words], special={"end": "<eos>"}, unit="word"
    )
    ids = np.array([vocabulary.ids[word] for word in words], dtype=np.int32)
    splits = dict.fromkeys(("train", "valid", "test"), ids)
    return Corpus(CorpusForm(vocabulary=vocabulary), splits, {})


def test_the_last_word_of_a_sentence_is_predicted_and_not_a_mark():
    data = spoken("too short .", "she has seen a green bird !", "no mark ends this one here")
    model = language_model(len(data.vocabulary))
    found = influences(model, data, torch.as_tensor(data.tokens["valid"]).long())
    assert [(one.words[-1], one.truth) for one in found] == [("green", "bird"), ("one", "here")]


def test_sentences_are_taken_from_everywhere():
    assert inside._spread(3, 8) == [0, 1, 2]
    assert inside._spread(100, 4) == [12, 37, 62, 87]
    assert inside._spread(0, 8) == []


# Units


def test_a_quotation_is_open_between_its_marks_and_not_beyond_its_sentence():
    text = "a `` b '' c <eos> \" d \" e “ f <eos> g » h"
    expected = [0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0]
    assert quotation_open(text.split(), "<eos>").tolist() == expected


def test_traits_are_of_what_was_read_and_of_what_comes():
    data = spoken("in 1987 N were", "4th he of", "a b c d e f")
    found = traits(data.tokens["valid"], data)
    assert found["place in the sentence"].tolist() == [*range(5), *range(4), *range(7)]
    assert found["a number was read"].tolist() == [0, 0, 1, 1, 0, 0, 1, *[0] * 9]
    # Behind `of` the end is the next, behind `4th` it is the third from there.
    assert found["the sentence is about to end"].tolist() == [
        *(0, 0, 1, 1, 1),
        *(0, 1, 1, 1),
        *(0, 0, 0, 0, 1, 1, 1),
    ]


@few_examples
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.floats(-5, 5))
def test_correlations_are_pearsons_and_know_no_scale(seed, scale, shift):
    random = np.random.default_rng(seed)
    values, trait = random.normal(size=(20, 3)), random.normal(size=20)
    found = correlations(scale * values + shift, trait)
    expected = [np.corrcoef(values[:, i], trait)[0, 1] for i in range(3)]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_what_is_constant_goes_with_nothing():
    assert correlations(np.full((10, 1), 0.1), np.arange(10.0)).tolist() == [0]


def test_the_unit_is_found_in_the_first_half_and_judged_in_the_second():
    random = np.random.default_rng(0)
    trait = random.integers(0, 2, 400).astype(float)
    hidden = [random.normal(size=(400, 3)), random.normal(size=(400, 2))]
    hidden[1][:200, 1] = -trait[:200]  # only in the first half
    hidden[0][:, 2] = trait + random.normal(size=400)
    words = [f"w{i}" for i in range(400)]
    (lucky,) = units(hidden, {"some trait": trait}, words)
    assert (lucky.trait, lucky.layer, lucky.number) == ("some trait", 2, 1)
    expected = np.corrcoef(hidden[1][200:, 1], trait[200:])[0, 1]
    assert lucky.correlation == pytest.approx(expected)
    assert abs(lucky.correlation) < 0.3


def test_the_passage_is_where_the_trait_varies_most():
    trait = np.zeros(600)
    trait[5], trait[450:490:2] = 1, 1
    random = np.random.default_rng(0)
    values = random.normal(size=(600, 1)) + 3 * trait[:, None]
    (found,) = units([values], {"rare": trait}, [str(i) for i in range(600)])
    start = int(found.words[0])
    assert len(found.words) == inside.PASSAGE and 409 <= start <= 450
    second = values[300:, 0]
    expected = (values[start : start + inside.PASSAGE, 0] - second.mean()) / second.std()
    np.testing.assert_allclose(found.values, expected)


def test_a_trait_that_does_not_vary_has_no_unit():
    values, late = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) > 15
    assert units([values], {"never": np.zeros(20), "late": late * 1.0}, ["w"] * 20) == []


# Gates


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_trace_is_what_layers_read_and_become(monkeypatch, cell, layers):
    monkeypatch.setattr(inside, "AT_ONCE", 4)
    model = lively(cell=cell, layers=layers)
    noted = list(trace(model, TOKENS, EOS))
    assert len(noted) == 4
    x = array(model.embedding.weight)[[EOS, *TOKENS[:-1].tolist()]]
    for i, of_layer in enumerate(zip(*noted, strict=True)):
        inputs, before, after = (torch.cat(parts).numpy() for parts in zip(*of_layer, strict=True))
        outputs, _ = steps(cell, model.recurrent.layers[i], x[None])
        np.testing.assert_allclose(inputs, x, rtol=1e-12)
        np.testing.assert_allclose(after, outputs[0], rtol=1e-9)
        np.testing.assert_allclose(before, np.vstack([np.zeros(4), outputs[0, :-1]]), rtol=1e-9)
        x = outputs[0]
    assert not any(layer._forward_hooks for layer in model.recurrent.layers)


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
def test_gates_make_the_outputs_of_pytorch(cell):
    torch.manual_seed(0)
    T, D, H = 9, 3, 5
    layer, x = cell(D, H, batch_first=True).double(), torch.randn(T, D).double()
    outputs = layer(x[None])[0][0].detach()
    before = torch.cat([torch.zeros(1, H).double(), outputs[:-1]])
    found = {name: array(part) for name, part in gates(layer, x, before).items()}
    c = np.zeros(H)
    for t in range(T):
        if cell is nn.LSTM:
            c = found["forget"][t] * c + found["input"][t] * found["candidate"][t]
            h = found["output"][t] * np.tanh(c)
        else:
            z = found["update"][t]
            h = (1 - z) * found["candidate"][t] + z * before[t].numpy()
        np.testing.assert_allclose(h, outputs[t], rtol=1e-10)


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
def test_gates_follow_their_equations(cell):
    torch.manual_seed(1)
    layer = cell(2, 3).double()
    x, h = torch.randn(2).double(), torch.randn(3).double()
    from_x = array(layer.weight_ih_l0) @ x.numpy() + array(layer.bias_ih_l0)
    from_h = array(layer.weight_hh_l0) @ h.numpy() + array(layer.bias_hh_l0)
    from_x, from_h = (of.reshape(-1, 3) for of in (from_x, from_h))
    sums = [a + b for a, b in zip(from_x, from_h, strict=True)]
    if cell is nn.GRU:
        r = sigmoid(sums[0])
        expected = {
            "reset": r,
            "update": sigmoid(sums[1]),
            "candidate": np.tanh(from_x[2] + r * from_h[2]),
        }
    else:
        i, f, g, o = sums
        expected = {
            "input": sigmoid(i),
            "forget": sigmoid(f),
            "candidate": np.tanh(g),
            "output": sigmoid(o),
        }
    found = gates(layer, x, h)
    assert list(found) == list(expected)
    for name, part in found.items():
        np.testing.assert_allclose(array(part), expected[name], rtol=1e-10)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_saturation_counts_the_steps_in_which_a_gate_is_shut_or_open(monkeypatch, cell):
    monkeypatch.setattr(inside, "AT_ONCE", 4)
    model = lively(cell=cell, layers=2)
    with torch.no_grad():
        for layer in model.recurrent.layers:
            layer.weight_ih_l0.mul_(3)
    noted = list(trace(model, TOKENS, EOS))
    found = saturations(model, noted)
    names = ["input", "forget", "output"] if cell == "lstm" else ["reset", "update"]
    assert [(one.layer, one.gate) for one in found] == [(n, g) for n in (1, 2) for g in names]
    for one in found:
        whole = [
            torch.cat(parts) for parts in zip(*(of[one.layer - 1] for of in noted), strict=True)
        ]
        values = array(gates(model.recurrent.layers[one.layer - 1], *whole[:2])[one.gate])
        np.testing.assert_allclose(one.low, (values < 0.1).mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(one.high, (values > 0.9).mean(axis=0), rtol=1e-6)
    assert any(one.low.any() for one in found) and any(one.high.any() for one in found)


# All of it


@pytest.mark.parametrize("changes", ALL, ids=str)
def test_a_model_of_each_cell_is_looked_into(changes):
    read = text(90).numpy()
    options = corpus_options(**changes)
    model = language_model(WORDS, seed=1, **changes).train()
    found = look_inside(model, options, corpus(read, read), seed=0)
    assert list(found.reach)[:2] == ["trained", "its first weights"]
    cells = {"rnn", "gru", "lstm"} - ({changes["cell"]} if "cell" in changes else set())
    assert set(list(found.reach)[2:]) == {f"{cell}, first weights" for cell in cells}
    assert all(norms.shape == (inside.STEPS + 1,) for norms in found.reach.values())
    assert {unit.trait for unit in found.units} | set(found.absent) == set(
        traits(read, corpus(read, read))
    )
    assert "a quotation is open" in found.absent
    assert bool(found.saturations) == (changes != ALL[0] and changes != ALL[3])
    assert not model.training


def test_the_weights_that_training_begins_with_are_drawn_again():
    options = corpus_options(init="default")
    again = inside.first_weights(options, corpus([1, 2]).form, seed=3)
    for one, other in zip(again.parameters(), language_model(seed=3).parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_text_that_is_too_short_is_refused():
    data = corpus(range(7), np.ones(70, int))
    with pytest.raises(DataError, match="has 70 tokens; gradients are followed through 71"):
        look_inside(language_model(), corpus_options(), data, seed=0)
