"""What is kept of a language model, and the runs of sentences that are its items."""

import numpy as np
import pytest
import torch

from models.toys import corpus, language_model, log_softmax, zero
from unroll.evaluation.corpus import evaluate_corpus, positions, run_length, runs
from unroll.evaluation.items import Item, outcomes
from unroll.evaluation.perplexity import perplexity
from unroll.evaluation.statistics import estimate


def test_positions_begin_anew_after_the_end_of_a_sentence():
    tokens = np.array([3, 4, 0, 0, 5, 6, 0])
    assert positions(tokens, eos=0).tolist() == [1, 2, 3, 1, 1, 2, 3]


def test_losses_are_summed_over_each_sentence():
    found = runs(np.array([1.0, 2.0, 4.0, 8.0]), np.array([3, 0, 5, 0]), eos=0)
    assert found.values.tolist() == [3.0, 12.0]
    assert found.weights.tolist() == [2, 2]


def test_a_text_that_ends_within_a_sentence_loses_nothing():
    found = runs(np.array([1.0, 2.0, 4.0]), np.array([3, 0, 5]), eos=0)
    assert found.values.tolist() == [3.0, 4.0]
    assert found.weights.tolist() == [2, 1]


def test_a_text_has_enough_runs_and_a_long_one_long_runs():
    assert [run_length(n) for n in (1, 29, 90, 3_761, 100_000)] == [1, 1, 3, 80, 80]


def text(lengths: np.ndarray) -> np.ndarray:
    """Return a text of sentences of these lengths: ones that are ended by a zero."""
    tokens = np.ones(lengths.sum(), int)
    tokens[lengths.cumsum() - 1] = 0
    return tokens


def test_the_mean_of_a_corpus_is_the_loss_of_a_token():
    random = np.random.default_rng(0)
    lengths = random.integers(1, 30, size=500)
    tokens = text(lengths)
    losses = [random.gamma(5, 1, len(tokens)) for _ in range(3)]
    items = [runs(of, tokens, eos=0) for of in losses]
    found = outcomes(items)
    assert found.shape == (3, 32)  # runs of 16 sentences
    assert items[0].weights.tolist()[:2] == [lengths[:16].sum(), lengths[16:32].sum()]
    assert found.mean(axis=1) == pytest.approx([of.mean() for of in losses])


def test_sentences_that_are_alike_in_a_row_widen_the_interval():
    """Where losses drift from article to article, the error is that of articles."""
    random = np.random.default_rng(1)
    tokens, drift = text(np.full(4_000, 20)), np.repeat(random.normal(0, 1, 200), 400)
    items: list[Item] = []
    for _ in range(3):
        noise = np.repeat(random.normal(0, 1, 4_000), 20)
        items.append(runs(5 + drift + noise, tokens, eos=0))
    found = estimate(outcomes(items), 0.95)
    assert found.error == pytest.approx(1 / np.sqrt(200), rel=0.25)


TRAIN, TEST = [1] * 12 + [2] + [0], [1, 2, 0, 1, 0, 3, 0]


def biased():
    """Return a model to which every word costs the same wherever it stands, and these costs."""
    model = language_model(7).double()
    zero(model)
    with torch.no_grad():
        model.affine.bias.copy_(torch.arange(7) / 3)
    return model, -log_softmax(np.arange(7) / 3)


def test_the_perplexity_of_both_splits_and_the_items_of_test():
    model, costs = biased()
    data = corpus(TRAIN, TEST)
    data.tokens["valid"] = np.array([1, 1, 6, 0], np.int32)
    found = evaluate_corpus(model, data)
    assert found.scores == {
        "valid_perplexity": pytest.approx(np.exp(costs[[1, 1, 6, 0]].mean())),
        "test_perplexity": pytest.approx(np.exp(costs[TEST].mean())),
    }
    assert list(found.items) == ["perplexity"]
    item = found.items["perplexity"]
    assert item.values == pytest.approx([costs[[1, 2, 0]].sum(), costs[[1, 0]].sum(),
                                         costs[[3, 0]].sum()])  # fmt: skip
    assert item.weights.tolist() == [3, 2, 2]
    assert np.exp(outcomes([item]).mean()) == pytest.approx(found.scores["test_perplexity"])
    assert found.samples == ""
    assert found.maps == []


def test_perplexity_is_broken_down_by_frequency_and_position():
    model, costs = biased()
    table = evaluate_corpus(model, corpus(TRAIN, TEST)).breakdown

    def classes(name: str) -> list[tuple]:
        chosen = table[table["property"] == name][["value", "items", "mean"]]
        return list(chosen.itertuples(index=False, name=None))

    def mean(*words: int) -> object:
        return pytest.approx(np.exp(costs[list(words)].mean()))

    assert classes("times in train") == [
        ("0", 1, mean(3)),
        ("1–9", 4, mean(2, 0, 0, 0)),
        ("10–99", 2, mean(1)),
    ]
    assert classes("position in sentence") == [
        ("1", 3, mean(1, 1, 3)),
        ("2", 3, mean(2, 0, 0)),
        ("3", 1, mean(0)),
    ]


def test_the_scores_are_those_of_the_whole_streams():
    model = language_model(7, layers=2)
    data = corpus(TRAIN, TEST)
    found = evaluate_corpus(model, data)
    expected = perplexity(model, torch.tensor(TEST), data.eos)
    assert found.scores["test_perplexity"] == pytest.approx(expected, rel=1e-6)
