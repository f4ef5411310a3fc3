"""What is kept of a model that answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.toys import FORM, array, chain, lively, pairs, ragged
from unroll.data.pairs import Pairs, Texts, from_translations
from unroll.data.sequences import SPLITS, encode
from unroll.evaluation.accuracy import accuracy
from unroll.evaluation.items import outcomes
from unroll.evaluation.pairs import MAPS, SAMPLES, evaluate_pairs
from unroll.evaluation.texts import short_and_long
from unroll.kinds.pairs import PairsKind
from unroll.plans.evaluation import MadeUp

TASK = MadeUp("pairs")


def test_sample_lines_show_question_expected_answer_and_verdict():
    data = pairs(SAMPLES + 5)
    texts = ["7", *["8888"] * (SAMPLES + 4)]
    targets = encode(texts, FORM.answers, 5, "toy", start=True, end=True)
    given = Pairs(FORM, data.sources, dict.fromkeys(SPLITS, targets), {})
    found = evaluate_pairs(chain({"_": "7", "7": " ", " ": " "}), given, "plain", TASK, "cpu")
    questions = data.questions("test")
    expected = [f"Q {questions[0]}", "T 7", "☑ 7", "---", f"Q {questions[1]}", "T 8888", "☒ 7"]
    assert found.samples.splitlines()[:7] == expected
    assert found.samples.count("---\n") == SAMPLES
    assert found.scores["test_exact_match"] == pytest.approx(1 / (SAMPLES + 5))
    mistakes = found.breakdown[found.breakdown["property"] == "mistake"]
    assert mistakes["value"].tolist() == ["7 instead of 8"]  # the task has no names of its own
    assert mistakes["items"].tolist() == [SAMPLES + 4]
    assert found.maps == []  # the decoder looks at nothing


def half_right(padding: str, decoder: str = "plain"):
    """Return a model, and pairs of which it answers some rightly and some wrongly."""
    data = ragged()
    model = lively(form=data.form, padding=padding, decoder=decoder)
    ids = accuracy(model, data, "test", padding, "cpu").written.symbols.numpy().copy()
    ids[::2, 0] = data.form.answers.ids["u"]
    ids[1, -1] = (ids[1, -1] + 1) % len(data.form.answers)
    starts = np.full((len(ids), 1), data.form.answers["start"])
    targets = data.targets["test"]
    changed = type(targets)(np.hstack([starts, ids]).astype(np.int32), targets.lengths)
    return model, Pairs(data.form, data.sources, {**data.targets, "test": changed}, {})


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_the_items_of_each_metric_have_the_mean_that_is_the_score(padding):
    model, data = half_right(padding)
    found = evaluate_pairs(model, data, padding, TASK, "cpu")
    assert set(found.items) == {"exact_match", "character_accuracy"}
    for name, item in found.items.items():
        assert 0 < found.scores[f"test_{name}"] < 1  # some are right, some wrong
        assert outcomes([item]).mean() == pytest.approx(found.scores[f"test_{name}"], rel=1e-12)
    answered = accuracy(model, data, "test", padding, "cpu")
    characters = found.items["character_accuracy"]
    np.testing.assert_array_equal(characters.weights, answered.counts.sum(axis=1))
    right = (answered.counts & ~answered.wrong).sum(axis=1)
    np.testing.assert_array_equal(characters.values, right)
    if padding == "masked":
        assert len(set(characters.weights.tolist())) > 1  # items of different weight


def test_maps_are_kept_of_some_right_and_some_wrong_answers():
    model, data = half_right("plain", decoder="attention")
    found = evaluate_pairs(model, data, "plain", TASK, "cpu")
    right = found.items["exact_match"].values.astype(bool)
    wanted = [*np.flatnonzero(right)[:MAPS], *np.flatnonzero(~right)[:MAPS]]
    assert [one["right"] for one in found.maps] == right[wanted].tolist()
    assert {True, False} == {one["right"] for one in found.maps}
    texts = [data.form.source.decode(data.sources["test"].ids[i].tolist()) for i in wanted]
    assert [one["question"] for one in found.maps] == texts


def test_the_breakdown_has_the_lengths_of_answers_and_the_first_wrong_symbol():
    model, data = half_right("masked")
    found = evaluate_pairs(model, data, "masked", TASK, "cpu")
    table = found.breakdown
    assert {"answer length", "confidence", "first wrong symbol", "mistake"} == set(
        table["property"]
    )
    score = found.scores["test_exact_match"]
    for name in ("answer length", "confidence"):
        rows = table[table["property"] == name]
        assert rows["items"].sum() == len(data.sources["test"])
        assert np.average(rows["mean"], weights=rows["items"]) == pytest.approx(score)
    wrong = int((1 - found.items["exact_match"].values).sum())
    assert table.loc[table["property"] == "mistake", "items"].sum() == wrong


def test_scoring_draws_nothing_and_changes_no_weight():
    model, data = half_right("plain")
    before = {name: array(p).copy() for name, p in model.named_parameters()}
    one, other = (evaluate_pairs(model.train(), data, "plain", TASK, "cpu") for _ in range(2))
    assert one.scores == other.scores
    assert one.breakdown.equals(other.breakdown)
    assert all(np.array_equal(before[name], array(p)) for name, p in model.named_parameters())


def with_texts(seed: int = 0):
    """Return a model, and pairs of words that it answers, some with references that it gives."""
    random = np.random.default_rng(seed)
    rows = [
        (" ".join(random.choice([*"abcdef"], n)), " ".join(random.choice([*"uvwxyz"], n)))
        for n in random.integers(1, 6, 60)
    ]
    splits = {"train": rows[:20], "valid": rows[20:40], "test": [*rows[40:], (rows[40][0], "u v")]}
    data = from_translations(splits, ("word", "word"), {}, minimum_count=2)
    model = lively(form=data.form, padding="masked", decoder="attention")
    said = accuracy(model, data, "test", "masked", "cpu").texts
    texts = {split: of.model_dump() for split, of in data.texts.items()}
    for row, answer in enumerate(said[:5]):
        texts["test"]["references"][row].append(answer)
    return model, replace(data, texts={s: Texts.model_validate(of) for s, of in texts.items()})


def test_pairs_with_texts_are_scored_as_texts_against_all_references():
    model, data = with_texts()
    found = evaluate_pairs(model, data, "masked", TASK, "cpu")
    metrics = {metric.name for metric in PairsKind().metrics}
    assert set(found.items) == metrics
    assert set(found.scores) == {
        f"{split}_{name}" for split in ("valid", "test") for name in metrics
    }
    right = accuracy(model, data, "test", "masked", "cpu").right
    assert right[:5].all() and right.sum() == found.items["exact_match"].values.sum()
    for name, item in found.items.items():
        scale = PairsKind().metric(f"test_{name}").scale
        mean = outcomes([item]).mean()
        assert scale.to(found.scores[f"test_{name}"]) == pytest.approx(mean, rel=1e-9)
    assert found.notes.keys() == {"bleu", "chrf"}
    assert all(note.startswith("nrefs:var|") for note in found.notes.values())
    assert "rarest symbol" in set(found.breakdown["property"])


def test_an_answer_with_an_unknown_symbol_is_never_right():
    model, data = with_texts()
    unknown = data.form.answers.special["unknown"]
    with torch.no_grad():
        model.decoder.affine.bias[data.form.answers["unknown"]] += 4
    said = accuracy(model, data, "test", "masked", "cpu").texts
    references = [[text.replace(unknown, "elsewhere")] for text in said]
    assert any(unknown in text for text in said)
    texts = Texts(questions=data.questions("test"), references=references)
    given = replace(data, texts={**data.texts, "test": texts})
    right = accuracy(model, given, "test", "masked", "cpu").right
    np.testing.assert_array_equal(right, [unknown not in text for text in said])


def test_samples_of_texts_are_short_and_long_ones():
    _, data = with_texts()
    lengths = data.sources["test"].lengths
    low, high = np.quantile(lengths, [0.25, 0.75])
    short, long = (np.flatnonzero(of).tolist()[:10] for of in (lengths <= low, lengths >= high))
    assert short_and_long(data, SAMPLES) == short + long
    assert 0 < len(short) < 10 and high > low
