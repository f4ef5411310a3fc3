"""Trained models as a notebook asks them."""

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

import unroll
from models.toys import (
    DIGITS,
    FORM,
    corpus_form,
    language_model,
    seq2seq,
    task_section,
)
from unroll import study as params
from unroll.data.sequences import encode
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError, UserError
from unroll.generation.answering import answer, texts_of
from unroll.runs.model import TrainedModel, write_model
from unroll.runs.record import Record, seed_folder
from unroll.runs.subject import Subject
from unroll.stages.interactive import ask

PARAMS = f"""\
tasks:
{task_section("sums", 8).replace("seeds: [0]", "seeds: [0, 1]")}\
  prose:
    data: {{kind: text, source: grammar}}
    defaults:
      seeds: [0]
      embedding_size: 4
      hidden_size: 4
      epochs: 1
      batch_size: 4
      time_steps: 5
      optimizer: sgd
      learning_rate: 1.0
variants:
  plain: {{task: sums}}
  peeky: {{task: sums, decoder: peeky}}
  untrained: {{task: sums, decoder: attention}}
  writer: {{task: prose}}
"""
SUMS = Vocabulary((*DIGITS.symbols, "+"), special=DIGITS.special)
FORM_OF_SUMS = FORM.model_copy(
    update={"source": SUMS, "target": SUMS, "source_width": 3, "target_width": 3}
)
# What each seed reached on validation: of exact matches more is better, of perplexity less.
REACHED = {"plain": [0.25, 0.5], "peeky": [0.75, 0.125], "writer": [9.0]}


@pytest.fixture
def study(tmp_path, monkeypatch) -> params.Study:
    """Return a study, in the current folder, of which some variants are trained."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS)
    found = params.load()
    for variant, scores in REACHED.items():
        for seed, score in enumerate(scores):
            write_model(seed_folder(found.model(variant), seed), made(found, variant, seed, score))
    return found


def made(study: params.Study, variant: str, seed: int, score: float) -> TrainedModel:
    options, kind = study.variant(variant), study.kind_of(variant)
    subject = Subject(study.name, variant, options, "ab" * 32, "cd" * 32, {"device": "cpu"})
    history = pd.DataFrame({"epoch": [1], "train_loss": [1.0], kind.choosing: [score]})
    record = Record(subject, seed, study.task_of(variant), 7, {"torch": "2.13.0"}, history)
    if kind.continues:
        return TrainedModel(record, corpus_form(), language_model(seed=seed))
    model = seq2seq(seed, FORM_OF_SUMS, hidden_size=8, decoder=options.decoder)
    with torch.no_grad():  # so that its answers depend on what it reads
        for parameter in model.parameters():
            parameter.mul_(3)
    return TrainedModel(record, FORM_OF_SUMS, model)


def test_the_variants_are_those_that_are_trained(study):
    assert unroll.open().variants == ["plain", "peeky", "writer"]


def test_a_variant_is_its_best_seed_on_validation_or_the_one_that_is_asked_for(study):
    root = unroll.open("root")
    assert root.model("plain").record.seed == 1
    assert root.model("peeky").record.seed == 0
    assert root.model("plain", seed=0).record.seed == 0
    record = root.model("plain").record
    assert (record.subject.variant, record.chosen_by) == ("plain", 0.5)
    assert record.options == study.variant("plain")


def test_the_best_of_a_task_is_the_best_of_all_its_seeds(study):
    found = unroll.open()
    best = found.best("sums").record
    assert (best.subject.variant, best.seed) == ("peeky", 0)
    best = found.best("sums", ["plain", "untrained"]).record
    assert (best.subject.variant, best.seed) == ("plain", 1)
    assert found.best("prose").record.subject.variant == "writer"


def test_answers_are_those_of_the_network(study):
    questions = ["7+5", "0+0", "9+1", "3+8"]
    network = made(study, "peeky", 0, 0.75).model
    source = encode(questions, SUMS, 3, "questions")
    written = answer(network, source, FORM_OF_SUMS, "plain")
    expected = list(
        zip(
            texts_of(written.symbols, FORM_OF_SUMS, "plain"),
            written.log_probabilities.sum(dim=1).tolist(),
            strict=True,
        )
    )
    model = unroll.open().model("peeky")
    assert model.answers(questions) == expected
    assert [model.ask(question) for question in questions] == [text for text, _ in expected]
    assert len({text for text, _ in expected}) > 1


def test_a_question_may_have_blanks_and_wide_digits(study):
    model = unroll.open().model("peeky")
    same = model.answers(["7+5"])
    for text in ("7 + 5", " 7+5 ", "７＋５"):
        assert model.answers([text]) == same


@pytest.mark.parametrize("text", ["", "7", "7++5", "7+5+1", "77+5", "-7+5", "7x5", "+", "7+²"])
def test_what_is_no_question_is_refused_with_one_that_is(study, text):
    with pytest.raises(UserError, match="is no question of this model") as caught:
        unroll.open().model("plain").ask(text)
    assert repr(text) in str(caught.value)
    assert str(caught.value).endswith("two numbers of 1 digit: 7+5")


def test_answers_that_are_drawn_are_those_of_their_seed(study):
    model = unroll.open().model("plain")
    one, same, other = (
        model.answers(["7+5"] * 20, temperature=2.0, seed=seed) for seed in (1, 1, 2)
    )
    assert one == same != other
    assert all(value < 0 for _, value in one)


@pytest.mark.parametrize("request_", [{"temperature": -1.0}, {"top_p": 0.0}, {"warmth": 1.0}])
def test_a_request_that_cannot_be_is_refused(study, request_):
    with pytest.raises(UserError, match=f"request.{next(iter(request_))}: "):
        unroll.open().model("plain").answers(["7+5"], **request_)


def test_a_text_is_continued(study):
    model = unroll.open().model("writer")
    text = model.complete("w1 w2", max_length=6, seed=3, skip="")
    assert text.startswith("w1 w2 ")
    assert text == model.complete("w1 w2", max_length=6, seed=3, skip="")
    assert text != model.complete("w1 w2", max_length=6, seed=4, skip="")
    [(same, log_probability)] = model.answers(["w1 w2"], max_length=6, seed=3, skip="")
    assert same == text
    # Of weights that were just drawn each word is about as likely as any other.
    assert log_probability == pytest.approx(6 * math.log(1 / 7), rel=0.2)


def test_continuations_are_written_as_the_options_say(study):
    options = params.generation(
        {"prompts": ["w1", "w2 w3"], "samples": 3, "length": 5, "skip": ["w4"], "seed": 7}
    )
    model = unroll.open().model("writer")
    texts = model.continuations("w2 w3", options)
    assert len(set(texts)) == 3
    assert all(text.startswith("w2 w3") and "w4" not in text for text in texts)
    assert texts == model.continuations("w2 w3", options)


@pytest.mark.parametrize("way", [{"temperature": 0.0}, {"repetition_penalty": 2.0, "seed": 3}])
def test_a_text_goes_on_from_where_it_stood(study, way):
    model = unroll.open().model("writer")
    whole = model.write("w1 w2", max_length=9, skip="", **way)
    one = model.write("w1 w2", max_length=4, skip="", **way)
    more = model.write(after=one, max_length=5, skip="", **way)
    assert (
        one.text + more.text == whole.text == model.complete("w1 w2", max_length=9, skip="", **way)
    )
    assert one.words + more.words == whole.words
    assert more.log_probability < 0
    given_words = model.write("w4 w5", after=one, max_length=1, **way)
    assert given_words.text.lstrip().startswith("w4 w5")
    assert model.write(max_length=3).prompt == [0]


def test_the_likeliest_end_of_a_sentence_is_searched(study):
    model = unroll.open().model("writer")
    search = {"temperature": 0.0, "beam_width": 4, "length_penalty": 1.0}
    found = model.write("w1", max_length=6, **search)
    options = {"prompts": ["w1"], "samples": 4, "length": 6, "skip": ["<unk>", "N", "$"], **search}
    best, *others = model.continuations("w1", params.generation(options))
    assert best == found.text and found.text not in others
    assert len(found.words) == 6 or found.words[-1] == 0
    with pytest.raises(UserError, match="a beam searches, a temperature draws; choose one"):
        model.write("w1", beam_width=4)
    other = unroll.open().model("writer")
    with pytest.raises(UserError, match="was written by another model"):
        other.write(after=found)


def test_an_unknown_word_is_refused(study):
    with pytest.raises(UserError, match="does not know the word 'w77'"):
        unroll.open().model("writer").complete("w1 w77")


def test_a_model_that_answers_does_not_write(study):
    model = unroll.open().model("plain")
    options = params.generation({"prompts": ["7+5"]})
    for asked in (
        lambda: model.complete("7+5"),
        lambda: model.write("7+5"),
        lambda: model.continuations("7+5", options),
    ):
        with pytest.raises(UserError, match="plain answers questions; it does not write"):
            asked()


def test_names_that_are_not_there_are_told_with_the_nearest(study):
    found = unroll.open()
    with pytest.raises(UserError, match=r"no variant 'peaky' \(did you mean peeky\?\)"):
        found.model("peaky")
    with pytest.raises(UserError, match=r"no task 'sum' \(did you mean sums\?\)"):
        found.best("sum")
    with pytest.raises(UserError, match="plain has no seed 2; it has 0, 1"):
        found.model("plain", seed=2)
    with pytest.raises(UserError, match=r"pipeline/nothing/params\.yaml does not exist"):
        unroll.open("nothing")


def test_what_is_not_trained_says_how_to_train_it(study):
    found = unroll.open()
    message = r"no trained model of untrained yet; run: dvc repro train@untrained \(this model"
    for asked in (
        lambda: found.model("untrained"),
        lambda: found.best("sums", ["untrained"]),
    ):
        with pytest.raises(DataError, match=message):
            asked()


def test_a_damaged_model_says_how_to_have_it_again(study):
    model = unroll.open().model("plain")
    weights = seed_folder(study.model("plain"), 1) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"weights\.safetensors is damaged.*train@plain"):
        model.ask("7+5")
    with pytest.raises(DataError, match=r"weights\.safetensors is damaged.*train@plain"):
        unroll.open().model("plain")


def test_seeds_of_two_trainings_are_no_variant(study):
    mixed = made(study, "plain", 1, 0.5)
    subject = replace(mixed.record.subject, plan="ef" * 32)
    other = replace(mixed, record=replace(mixed.record, subject=subject))
    write_model(seed_folder(study.model("plain"), 1), other)
    with pytest.raises(DataError, match=r"does not hold all seeds of one training.*train@plain"):
        unroll.open().model("plain")


def test_alternatives_are_told_with_their_probabilities_the_best_first(study, capsys):
    model = unroll.open().model("peeky")
    found = model.likeliest("7+5", beam_width=3)
    assert found[0] == model.answers(["7+5"], beam_width=3)[0]
    ask(study, "7+5", None, "peeky", alternatives=3, picture=None, request={})
    lines = [line.split("%  ") for line in capsys.readouterr().out.splitlines()]
    assert [text for _, text in lines] == [text for text, _ in found]
    for (share, _), (_, logarithm) in zip(lines, found, strict=True):
        assert float(share) == pytest.approx(100 * math.exp(logarithm), abs=0.01)


def test_a_model_without_attention_has_no_map(study, tmp_path):
    with pytest.raises(UserError, match="peeky has no attention"):
        ask(study, "7+5", None, "peeky", 1, tmp_path / "map.svg", {})
    assert not (tmp_path / "map.svg").exists()
