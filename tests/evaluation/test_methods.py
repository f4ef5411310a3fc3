"""Ways to let a trained language model predict a text, each against its equations."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.toys import array, language_model
from unroll.data.corpus import Corpus, CorpusForm
from unroll.data.vocabulary import Vocabulary
from unroll.evaluation.methods import METHODS
from unroll.evaluation.methods.cache import Cache, of_cache
from unroll.evaluation.methods.dynamic import OF_TRAIN, SEGMENT, SMALLEST, Dynamic, DynamicRms
from unroll.evaluation.methods.mc_dropout import McDropout
from unroll.evaluation.methods.method import Method, scored_by
from unroll.evaluation.methods.temperature import Temperature
from unroll.evaluation.perplexity import token_losses
from unroll.metrics import BY_METHOD
from unroll.models.dropout import set_generator
from unroll.options import Scoring
from unroll.seeds import torch_generator

WORDS, EOS = 7, 6
TEXT = torch.tensor([0, 3, 1, 6, 2, 5, 4, 4, 0, 6, 3, 1, 6, 2, 5, 0, 0])


def model_of(**options):
    return language_model(WORDS, seed=3, init="default", **options).double()


def reading(model, text=TEXT):
    """Return the states (T, H) before each word, and the logits (T, V), one word at a time."""
    state, states, logits = None, [], []
    with torch.no_grad():
        for word in [EOS, *text.tolist()[:-1]]:
            outputs, state = model.features(torch.tensor([[word]]), state)
            states.append(array(outputs)[0, 0])
            logits.append(array(model.affine(outputs))[0, 0])
    return np.array(states), np.array(logits)


def close(found: torch.Tensor, expected) -> None:
    assert found.dtype == torch.float64
    np.testing.assert_allclose(array(found), expected, rtol=1e-8)


def of_logits(logits: np.ndarray) -> np.ndarray:
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(TEXT)), TEXT.numpy()]


def test_a_temperature_divides_the_logits():
    model = model_of()
    settings = [{"temperature": 0.5}, {"temperature": 1.0}, {"temperature": 3.0}]
    found = Temperature().losses(model, TEXT, EOS, settings)
    for losses, setting in zip(found, settings, strict=True):
        close(losses, of_logits(reading(model)[1] / setting["temperature"]))
    assert torch.equal(found[1], token_losses(model, TEXT, EOS))


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("flatness", [0.0, 0.7])
def test_a_cache_gives_what_followed_states_like_this_one(size, flatness):
    model = model_of()
    states, logits = reading(model)
    [found] = Cache().losses(
        model, TEXT, EOS, [{"size": size, "flatness": flatness, "share": 0.25}]
    )
    own, expected = np.exp(-of_logits(logits)), []
    for t, word in enumerate(TEXT.tolist()):
        lately = range(max(0, t - size), t)
        weights = {i: math.exp(flatness * states[t] @ states[i]) for i in lately}
        total = sum(weights.values())
        same = sum(weight for i, weight in weights.items() if TEXT[i] == word)
        expected.append(own[t] if not weights else 0.75 * own[t] + 0.25 * same / total)
    close(found, -np.log(expected))


def test_a_cache_is_the_same_in_blocks_of_any_length(monkeypatch):
    states = torch.randn(40, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.randint(0, 4, (40,), generator=torch.Generator().manual_seed(1))
    whole = of_cache(states, targets, 9, 0.5)
    for block in (1, 7, 39, 40):
        monkeypatch.setattr("unroll.evaluation.methods.cache.BLOCK", block)
        torch.testing.assert_close(of_cache(states, targets, 9, 0.5), whole)


def test_many_readings_with_dropout_are_averaged():
    model = model_of(dropout=0.5, layers=2)
    likely = []
    for number in range(3):
        set_generator(model, torch_generator(number, "mc_dropout"))
        with torch.no_grad():
            logits, _ = model.train()(torch.tensor([[EOS, *TEXT.tolist()[:-1]]]))
        likely.append(np.exp(-of_logits(array(logits)[0])))
    assert np.ptp(likely, axis=0).max() > 0.01
    [found] = McDropout().losses(model, TEXT, EOS, [{"readings": 3}])
    close(found, -np.log(np.mean(likely, axis=0)))
    assert not model.training


def test_without_dropout_readings_are_all_the_same():
    model = model_of()
    [found] = McDropout().losses(model, TEXT, EOS, [{"readings": 2}])
    close(found, array(token_losses(model, TEXT, EOS)))


def learned(model, setting, sizes=None):
    """Return what dynamic evaluation finds, one segment after another, by plain steps."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    state, found = None, []
    mean = sizes and sum(s.sum() for s in sizes.values()) / sum(s.numel() for s in sizes.values())
    for start in range(0, len(TEXT), SEGMENT):
        words = TEXT[start : start + SEGMENT]
        read = torch.cat([TEXT[start - 1 : start] if start else torch.tensor([EOS]), words[:-1]])
        logits, after = model(read[None], state)
        losses = F.cross_entropy(logits[0], words, reduction="none")
        model.zero_grad()
        losses.mean().backward()
        found += losses.tolist()
        with torch.no_grad():
            for name, p in model.named_parameters():
                back, step = setting["decay"], p.grad
                if sizes:
                    back = (back * sizes[name] / mean).clamp(max=1)
                    step = p.grad / (sizes[name] + SMALLEST * mean)
                p += back * (before[name] - p) - setting["rate"] * step
        state = tuple(part.detach() for part in after)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(before[name])
    return found


@pytest.mark.parametrize("setting", [{"rate": 0.3, "decay": 0.0}, {"rate": 1.0, "decay": 0.2}])
def test_a_dynamic_model_learns_from_each_segment_after_it_has_predicted_it(setting):
    model = model_of(dropout=0.5)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    [found] = Dynamic().losses(model, TEXT, EOS, [setting])
    close(found, learned(model.eval(), setting))
    assert not np.allclose(array(found), array(token_losses(model, TEXT, EOS)))
    assert all(torch.equal(model.state_dict()[name], weight) for name, weight in before.items())
    assert not model.training


@pytest.mark.parametrize("setting", [{"rate": 0.01, "decay": 0.0}, {"rate": 0.02, "decay": 0.3}])
def test_a_dynamic_model_measures_its_steps_by_gradients_in_train(setting):
    model, method, train = model_of(), DynamicRms(), TEXT.repeat(3)
    method.prepare(model, train, EOS)
    squares, state, count = {n: 0 * p.detach() for n, p in model.named_parameters()}, None, 0
    for start in range(0, len(train), OF_TRAIN):
        words = train[start : start + OF_TRAIN]
        first = train[start - 1 : start] if start else torch.tensor([EOS])
        logits, after = model(torch.cat([first, words[:-1]])[None], state)
        model.zero_grad()
        F.cross_entropy(logits[0], words).backward()
        for name, p in model.named_parameters():
            squares[name] += p.grad**2
        state, count = tuple(part.detach() for part in after), count + 1
    sizes = {name: (total / count).sqrt() for name, total in squares.items()}
    [found] = method.losses(model, TEXT, EOS, [setting])
    close(found, learned(model, setting, sizes))


def test_a_rate_of_zero_learns_nothing():
    model = model_of()
    [found] = Dynamic().losses(model, TEXT, EOS, [{"rate": 0.0, "decay": 0.5}])
    close(found, array(token_losses(model, TEXT, EOS)))


# Tuning


def corpus_of(**splits) -> Corpus:
    symbols = [*"abcdef", "<eos>"]
    vocabulary = Vocabulary(symbols, special={"end": "<eos>"}, unit="word")
    tokens = {split: array(of).astype(np.int32) for split, of in splits.items()}
    return Corpus(CorpusForm(vocabulary=vocabulary), tokens, {})


def test_what_is_best_on_validation_is_what_test_is_scored_by():
    asked = []

    class Noted(Temperature):
        def losses(self, model, tokens, eos, settings):
            asked.append((len(tokens), len(settings)))
            return super().losses(model, tokens, eos, settings)

    model = model_of()
    corpus = corpus_of(train=TEXT, valid=TEXT[:9], test=TEXT[4:])
    method: Method = Noted()
    found = scored_by(method, model, corpus)
    tried = Temperature().losses(model, TEXT[:9], EOS, method.settings)
    best = method.settings[int(np.argmin([float(of.mean()) for of in tried]))]
    assert found.setting == best
    for split in ("valid", "test"):
        text = torch.as_tensor(corpus.tokens[split])
        assert torch.equal(found.losses[split], Temperature().losses(model, text, EOS, [best])[0])
    assert asked == [(9, len(method.settings)), (9, 1), (13, 1)]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_predicts_a_text_without_changing_the_model(name):
    model = model_of(dropout=0.3)
    before = {key: weight.clone() for key, weight in model.state_dict().items()}
    corpus = corpus_of(train=TEXT.repeat(2), valid=TEXT, test=TEXT.flip(0))
    found = scored_by(METHODS[name](), model, corpus)
    for losses in found.losses.values():
        assert losses.shape == TEXT.shape and losses.isfinite().all() and (losses > 0).all()
    assert found.setting in METHODS[name].settings
    assert all(torch.equal(model.state_dict()[key], weight) for key, weight in before.items())
    again = scored_by(METHODS[name](), model, corpus)
    assert torch.equal(again.losses["test"], found.losses["test"])


def test_the_names_of_methods_are_those_of_options_and_metrics():
    assert list(METHODS) == list(BY_METHOD)
    assert Scoring(methods=list(METHODS)).methods == list(METHODS)
    with pytest.raises(ValueError, match="only once"):
        Scoring(methods=["cache", "cache"])
