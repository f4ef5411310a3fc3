"""Replies, one by one and together."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples, lively, pairs, replies_options, zero
from unroll.data.pairs import from_translations
from unroll.data.sequences import encode
from unroll.evaluation.accuracy import accuracy
from unroll.evaluation.breakdown import COLUMNS
from unroll.evaluation.items import outcomes
from unroll.evaluation.replies import evaluate_replies, shuffled, taught, together
from unroll.kinds.replies import RepliesKind
from unroll.plans.evaluation import MadeUp
from unroll.seeds import numpy_generator
from unroll.tasks.dialogue import Dialogue, DialogueOptions

TASK = MadeUp("replies")
METRICS = {metric.name for metric in RepliesKind.metrics}
TOGETHER = {"distinct_answers", "copied_answers", "against_shuffled"}


def talk(seed: int = 0):
    """Return what was said and replies to it, all different; some questions have two replies."""
    random = numpy_generator(seed, "talk")
    said: dict[str, None] = {}
    while len(said) < 45:
        said[" ".join(random.choice([*"abcdef"], random.integers(1, 6)).tolist())] = None
    rows = [(q, " ".join(random.choice([*"uvwxyz"], random.integers(1, 5)))) for q in said]
    splits = {"train": rows[:20], "valid": rows[20:30], "test": [*rows[30:], (rows[30][0], "u v")]}
    return from_translations(splits, ("word", "word"), {})


def model_of(data, padding: str = "masked", **changes):
    return lively(form=data.form, padding=padding, **changes)


def loss_of(model, data, question: int, reply: int, padding: str) -> tuple[float, int]:
    """Return the cross entropy of one reply of test after a question, and how many symbols it has.

    Computed alone: the sequence as wide as it is, or as the data are.
    """
    source, target = data.sources["test"], data.targets["test"]
    read, n = int(source.lengths[question]), int(target.lengths[reply])
    if padding == "plain":
        read, n = source.width, target.width
    ids = torch.tensor(target.ids[reply : reply + 1, :n].astype(int))
    words = torch.tensor(source.ids[question : question + 1, :read].astype(int))
    with torch.no_grad():
        logits = model.eval()(words, ids[:, :-1])
    logs = logits.double().log_softmax(dim=2).gather(2, ids[:, 1:, None])
    return -float(logs.sum()), n - 1


# Replies to another question


@few_examples
@given(st.integers(2, 60))
def test_no_reply_keeps_its_question_and_each_question_is_used_once(count):
    data = pairs(count)
    found = shuffled(data, "test")
    own, others = (of.sources["test"].ids.tolist() for of in (data, found))
    assert sorted(own) == sorted(others)
    assert all(one != other for one, other in zip(own, others, strict=True))
    assert found.targets is data.targets
    lengths = {tuple(ids): n for ids, n in zip(own, data.sources["test"].lengths, strict=True)}
    assert [lengths[tuple(ids)] for ids in others] == found.sources["test"].lengths.tolist()


def test_the_other_splits_keep_their_questions_and_the_order_is_always_the_same():
    data = talk()
    one, again = (shuffled(data, "test") for _ in range(2))
    assert one.sources["valid"] is data.sources["valid"]
    assert one.sources["train"] is data.sources["train"]
    assert np.array_equal(one.sources["test"].ids, again.sources["test"].ids)


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_against_shuffled_is_the_perplexity_of_replies_over_that_after_other_questions(padding):
    data = talk()
    model = model_of(data, padding, decoder="attention")
    others = shuffled(data, "test").sources["test"].ids.tolist()
    questions = [data.sources["test"].ids.tolist().index(ids) for ids in others]
    own, other, count = 0.0, 0.0, 0
    for reply, question in enumerate(questions):
        loss, n = loss_of(model, data, reply, reply, padding)
        own, count = own + loss, count + n
        other += loss_of(model, data, question, reply, padding)[0]
    found = evaluate_replies(model, data, padding, TASK, "cpu").scores
    assert found["test_perplexity"] == pytest.approx(np.exp(own / count), rel=1e-5)
    expected = np.exp(own / count) / np.exp(other / count)
    assert found["test_against_shuffled"] == pytest.approx(expected, rel=1e-5)
    assert abs(expected - 1) > 1e-3


def test_to_a_model_that_hears_nothing_each_question_is_as_good():
    data = talk()
    model = model_of(data, bridge="hidden")
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.zero_()
    found = evaluate_replies(model, data, "masked", TASK, "cpu").scores
    assert found["test_against_shuffled"] == pytest.approx(1, abs=1e-6)
    assert found["valid_against_shuffled"] == pytest.approx(1, abs=1e-6)


# Answers together


def of_answers(texts: list[str], known: set[str]):
    """Return what these answers to the first questions of test are together."""
    data = talk()
    rows = slice(len(texts))
    few = replace(
        data,
        sources={**data.sources, "test": data.sources["test"].part(rows)},
        targets={**data.targets, "test": data.targets["test"].part(rows)},
    )
    model = model_of(data)
    found = accuracy(model, replace(few, texts=None), "test", "masked", "cpu")
    said = replace(found, texts=texts)
    return together(model, few, "test", "masked", "cpu", said, known)


def test_different_and_copied_answers_by_hand():
    items = of_answers(["yes", "no", "yes", "so", "yes"], {"yes", "so", "maybe"})
    assert items["copied_answers"].values.tolist() == [1, 0, 1, 1, 1]
    # Three of five differ; 3 of 4 without a "yes", 2 of 4 without "no" or "so".
    distinct = items["distinct_answers"].values
    assert distinct.mean() == pytest.approx(3 / 5)
    without = np.array([0.75, 0.5, 0.75, 0.5, 0.75])
    assert distinct.tolist() == pytest.approx(0.6 + 4 * (0.65 - without))
    assert items["distinct_answers"].weights is items["copied_answers"].weights is None


@pytest.mark.parametrize(
    ("texts", "distinct", "copied"),
    [
        (["yes"] * 4, 1 / 4, 1),
        (["", "a", "b", "yes no"], 1, 0),
        (["no", "yes", "yes", "no"], 1 / 2, 1 / 2),
        (["yes"], 1, 1),
        (["no"], 1, 0),
    ],
)
def test_shares_of_answers(texts, distinct, copied):
    items = of_answers(texts, {"yes"})
    assert items["distinct_answers"].values.mean() == pytest.approx(distinct)
    assert items["copied_answers"].values.mean() == copied


# A whole evaluation


@pytest.fixture(scope="module")
def evaluated():
    data = talk()
    model = model_of(data, decoder="attention")
    return data, model, evaluate_replies(model, data, "masked", TASK, "cpu")


def test_an_evaluation_has_all_metrics_of_its_kind_within_their_bounds(evaluated):
    _, _, found = evaluated
    assert METRICS > TOGETHER
    assert set(found.items) == METRICS
    assert set(found.scores) == {
        f"{split}_{name}" for split in ("valid", "test") for name in METRICS
    }
    for name, value in found.scores.items():
        assert type(value) is float
        assert RepliesKind().metric(name).clip(value) == value
    assert found.notes.keys() == {"bleu", "chrf"}


def test_the_bounds_of_metrics_of_replies():
    def metric(name):
        return RepliesKind().metric(f"test_{name}")

    for name in ("distinct_answers", "copied_answers"):
        assert (metric(name).clip(-0.1), metric(name).clip(1.1)) == (0, 1)
    assert metric("against_shuffled").clip(-1) == 0
    assert metric("against_shuffled").clip(0.5) == 0.5 and metric("against_shuffled").clip(7) == 7
    better = {name: metric(name).higher_is_better for name in TOGETHER}
    assert better == {
        "distinct_answers": True,
        "copied_answers": False,
        "against_shuffled": False,
    }
    assert RepliesKind().main.name == "perplexity"


def test_the_items_of_each_metric_have_the_mean_that_is_the_score(evaluated):
    data, _, found = evaluated
    for name, item in found.items.items():
        assert item.values.shape == (len(data.sources["test"]),)
        scale = RepliesKind().metric(f"test_{name}").scale
        mean = scale.back(outcomes([item]).mean())
        assert mean == pytest.approx(found.scores[f"test_{name}"], rel=1e-9)
    perplexity = found.items["perplexity"]
    np.testing.assert_array_equal(perplexity.weights, found.items["against_shuffled"].weights)


def test_different_and_copied_answers_are_those_that_the_model_gives(evaluated):
    data, model, found = evaluated
    train = {reply for [reply] in data.references("train")}
    for split in ("valid", "test"):
        said = accuracy(model, data, split, "masked", "cpu").texts
        distinct = len(set(said)) / len(said)
        assert found.scores[f"{split}_distinct_answers"] == pytest.approx(distinct)
        copied = np.mean([text in train for text in said])
        assert found.scores[f"{split}_copied_answers"] == pytest.approx(copied)


def test_of_a_model_that_says_one_thing_to_everything_it_is_told():
    data = talk()
    model = model_of(data)
    zero(model)
    with torch.no_grad():
        model.decoder.affine.bias[data.form.answers.ids["v"]] = 1
    assert len(set(accuracy(model, data, "test", "masked", "cpu").texts)) == 1
    found = evaluate_replies(model, data, "masked", TASK, "cpu").scores
    assert found["test_distinct_answers"] == pytest.approx(1 / 15)
    assert found["valid_distinct_answers"] == pytest.approx(1 / 10)
    assert found["test_copied_answers"] == found["valid_copied_answers"] == 0
    assert found["test_against_shuffled"] == pytest.approx(1)


def test_an_answer_that_was_taught_is_copied():
    data = talk()
    model = model_of(data, decoder="attention")
    said, train = accuracy(model, data, "test", "masked", "cpu").texts, data.targets["train"]
    short = next(text for text in said if 0 < len(text.split()) <= train.width - 2)
    ids = encode([short], data.form.answers, train.width, "train", start=True, end=True)
    train.ids[3], train.lengths[3] = ids.ids[0], ids.lengths[0]
    found = evaluate_replies(model, data, "masked", TASK, "cpu").scores
    assert found["test_copied_answers"] == said.count(short) / len(said) > 0


def test_a_rare_word_was_taught_as_an_unknown_one():
    rows = [("a", "u v"), ("b", "u v"), ("c", "u rare v")]
    splits = {"train": rows, "valid": [("d", "u")], "test": [("e", "v")]}
    data = from_translations(splits, ("word", "word"), {}, 2)
    assert taught(data) == {"u v", "u <unk> v"}


def test_results_are_broken_down_into_perplexities(evaluated):
    data, model, _ = evaluated
    options = {"kind": "dialogue", "unit": "word"}
    task = Dialogue(DialogueOptions.model_validate(options))
    table = evaluate_replies(model, data, "masked", task, "cpu").breakdown
    assert list(table.columns) == COLUMNS
    assert set(table["property"]) == {"question length", "rarest symbol"}
    losses = [loss_of(model, data, i, i, "masked") for i in range(15)]
    lengths = np.array([len(question.split()) for question in data.questions("test")])
    rows = table[table["property"] == "question length"].set_index("value")
    assert set(rows.index) == {"1–2", "3–4", "5–7"}
    for label, (low, high) in {"1–2": (1, 2), "3–4": (3, 4), "5–7": (5, 7)}.items():
        chosen = np.flatnonzero((lengths >= low) & (lengths <= high)).tolist()
        assert rows.loc[label, "items"] == len(chosen)
        mean = sum(losses[i][0] for i in chosen) / sum(losses[i][1] for i in chosen)
        assert rows.loc[label, "mean"] == pytest.approx(np.exp(mean), rel=1e-5)
    assert table.loc[table["property"] == "rarest symbol", "items"].sum() == 15
    assert table["confidence"].isna().all()


def test_samples_show_replies_with_all_that_would_do(evaluated):
    data, _, found = evaluated
    question, replies = data.questions("test")[0], data.references("test")[0]
    assert len(replies) == 2
    assert f"Q {question}\nT {' | '.join(replies)}\n" in found.samples


def test_scoring_draws_nothing_and_changes_no_weight(evaluated):
    data, model, found = evaluated
    again = evaluate_replies(model.train(), data, "masked", TASK, "cpu")
    assert again.scores == found.scores
    assert again.breakdown.equals(found.breakdown)


def test_a_kind_evaluates_its_replies_so(evaluated):
    data, model, found = evaluated
    options = replies_options(padding="masked", decoder="attention")
    assert RepliesKind().evaluate(model, data, options, TASK, "cpu").scores == found.scores
