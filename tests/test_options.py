"""Options: strict and frozen, and what is kept of them in plans, keys and records."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.toys import (
    COMMON,
    LATER_OF_PAIRS,
    captions_options,
    corpus_options,
    few_examples,
    labels_options,
    pairs_options,
    replies_options,
)
from unroll.options import (
    OPTIONS,
    Checkpointing,
    Comparison,
    Compute,
    Generate,
    Neutral,
    PairsOptions,
    neutral_values,
    parse_resolved,
    resolved,
)

MADE = {
    "pairs": pairs_options,
    "replies": replies_options,
    "captions": captions_options,
    "corpus": corpus_options,
    "labels": labels_options,
}
# What cannot be said of pictures, and what excludes another option.
ONLY_OF_SEQUENCES = {"reverse_source", "double_source", "bidirectional"}

# What has a value only where another option has one too.
BOUND = {"averaged_epochs", "mogrifier_rounds"}

# Values of options of all kinds, other than those that the toys have.
OTHER = {
    "cell": "gru",
    "layers": 2,
    "match_parameters": "x",
    "dropout": 0.5,
    "init": "default",
    "weight_decay": 0.25,
    "schedule": "one_cycle",
    "clip": 5.0,
    "reverse_source": True,
    "bidirectional": True,
    "padding": "masked",
    "embedding": "one_hot",
    "decoder": "attention",
    "attention": "general",
    "attention_query": "before",
    "bridge": "state",
    "teacher_forcing": 0.5,
    "teacher_forcing_by": "sequence",
    "loss": "sequence",
    "label_smoothing": 0.1,
    "with_replacement": True,
    "double_source": True,
    "curriculum": "mixed",
    "pooling": "attention",
    "encoder": "pretrained",
    "tie_weights": True,
    "skip_connections": True,
    "variational_dropout": True,
    "keep": "best",
    "input_dropout": 0.3,
    "output_dropout": 0.3,
    "embedding_dropout": 0.1,
    "weight_drop": 0.5,
    "activation_penalty": 2.0,
    "slowness_penalty": 1.0,
    "random_time_steps": True,
    "softmaxes": 2,
    "evaluation_batch_size": 10,
}


@st.composite
def variants(draw):
    """Return options of any kind, some of them other than by default."""
    kind = draw(st.sampled_from(sorted(MADE)))
    names = sorted(OTHER.keys() & OPTIONS[kind].model_fields.keys())
    chosen = draw(st.sets(st.sampled_from(names)))
    if {"attention", "attention_query"} & chosen:
        chosen |= {"decoder"}
    if "curriculum" in chosen:
        chosen -= {"with_replacement"}
    if kind == "captions":
        chosen -= ONLY_OF_SEQUENCES
    return MADE[kind](**{name: OTHER[name] for name in chosen})


def test_each_kind_has_options_of_its_name():
    assert OPTIONS.keys() == {"pairs", "replies", "captions", "corpus", "labels"}
    for kind, options in OPTIONS.items():
        assert options.kind == kind
        # Else a value could be kept by `resolved` that no test here has changed.
        optional = {name for name, field in options.model_fields.items() if not field.is_required()}
        assert optional - BOUND <= OTHER.keys()


def test_options_not_named_anywhere_have_the_documented_defaults():
    assert {k: v for k, v in pairs_options().model_dump().items() if k not in COMMON} == {
        "cell": "lstm",
        "layers": 1,
        "match_parameters": None,
        "dropout": 0.0,
        "init": "book",
        "weight_decay": 0.0,
        "schedule": "constant",
        "clip": None,
        "keep": "last",
        "averaged_epochs": None,
        "reverse_source": False,
        "bidirectional": False,
        "padding": "plain",
        "embedding": "learned",
        "decoder": "plain",
        "attention": "dot",
        "attention_query": "now",
        "bridge": "hidden",
        "teacher_forcing": 1.0,
        "teacher_forcing_by": "step",
        "loss": "symbol",
        "label_smoothing": 0.0,
        "with_replacement": False,
        "double_source": False,
        "curriculum": "all",
    }
    assert labels_options().pooling == "last"
    corpus = corpus_options()
    assert not (corpus.tie_weights or corpus.skip_connections or corpus.variational_dropout)


def test_sections_that_are_left_out_have_the_documented_values():
    assert Compute().model_dump() == {
        "device": "auto",
        "precision": "auto",
        "workers": "auto",
        "threads": 1,
        "executor": "auto",
    }
    assert Comparison().model_dump() == {
        "references": {},
        "questions": {},
        "factors": [],
        "confidence": 0.95,
    }
    assert Checkpointing().every == 500
    assert Checkpointing(every=None).every is None
    assert Generate(prompts=["you"]).model_dump() == {
        "prompts": ["you"],
        "samples": 1,
        "length": 100,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "beam_width": 1,
        "length_penalty": 0.0,
        "skip": [],
        "seed": 0,
    }


def test_options_cannot_be_changed_after_reading():
    with pytest.raises(ValidationError, match="frozen"):
        pairs_options().epochs = 3


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (pairs_options, "epochs", "2"),
        (pairs_options, "epochs", 2.0),
        (pairs_options, "epochs", True),
        (pairs_options, "epochs", 10**9 + 1),
        (pairs_options, "reverse_source", 1),
        (pairs_options, "seeds", []),
        (pairs_options, "seeds", [2**63]),
        (pairs_options, "seeds", [0, 1, 0]),
        (pairs_options, "dropout", 1.0),
        (pairs_options, "learning_rate", 0.0),
        (pairs_options, "learning_rate", float("nan")),
        (pairs_options, "weight_decay", float("inf")),
        (pairs_options, "teacher_forcing", -0.1),
        (pairs_options, "teacher_forcing", float("nan")),
        (pairs_options, "pooling", "last"),
        (labels_options, "decoder", "plain"),
        (labels_options, "pooling", "mean"),
        (corpus_options, "time_steps", 0),
        (corpus_options, "weight_drop", 1.0),
        (corpus_options, "slowness_penalty", -1.0),
        (corpus_options, "mogrifier_rounds", 21),
        (corpus_options, "softmaxes", 0),
        (corpus_options, "evaluation_batch_size", 0),
        (corpus_options, "keep", "first"),
    ],
)
def test_what_an_option_does_not_take_is_refused_by_its_name(make, name, value):
    with pytest.raises(ValidationError) as caught:
        make(**{name: value})
    [fault] = caught.value.errors()
    assert name in (*fault["loc"], str(fault.get("ctx", {}).get("error", "")).split(":")[0])


@pytest.mark.parametrize("make", [pairs_options, labels_options])
def test_two_directions_take_an_even_size(make):
    with pytest.raises(ValidationError, match="hidden_size: must be even where bidirectional is"):
        make(bidirectional=True, hidden_size=5)
    assert make(bidirectional=True, hidden_size=6).size_step == 2
    assert make(hidden_size=5).size_step == 1


def test_a_tied_embedding_has_the_hidden_size_and_follows_it():
    with pytest.raises(ValidationError, match="embedding_size: must equal hidden_size"):
        corpus_options(tie_weights=True, hidden_size=5)
    tied = corpus_options(tie_weights=True).resized(10)
    assert (tied.embedding_size, tied.hidden_size) == (10, 10)
    free = corpus_options().resized(10)
    assert (free.embedding_size, free.hidden_size) == (4, 10)


@few_examples
@given(variants(), st.integers(1, 9))
def test_resized_options_differ_in_their_sizes_alone(options, steps):
    size = steps * options.size_step
    found = options.resized(size)
    assert found.hidden_size == size
    assert type(found).model_validate(found.model_dump()) == found
    changed = {n for n, v in found.model_dump().items() if v != options.model_dump()[n]}
    assert changed <= {"hidden_size", "embedding_size"}


@few_examples
@given(variants())
def test_resolved_options_can_be_read_back(options):
    kept = resolved(options)
    assert parse_resolved(options.kind, kept) == options
    neutral = neutral_values(type(options))
    assert options.model_dump() == {**neutral, **kept}
    assert all(kept.get(name, object()) != value for name, value in neutral.items())


def test_a_default_that_is_written_out_is_resolved_alike():
    assert resolved(pairs_options(decoder="plain", dropout=0.0)) == resolved(pairs_options())


def test_an_option_that_does_nothing_is_left_out_where_it_came_later():
    assert neutral_values(PairsOptions) == LATER_OF_PAIRS
    assert "teacher_forcing" not in resolved(pairs_options())
    half = resolved(pairs_options(teacher_forcing=0.5))
    assert half == resolved(pairs_options()) | {"teacher_forcing": 0.5}


def test_an_option_that_is_added_leaves_what_was_kept_before_as_it_is(monkeypatch):
    """Else every variant would train again, and no earlier record could be read."""
    before = resolved(pairs_options(layers=2))

    class Later(PairsOptions):
        # By default it does something; kept is what differs from where it does nothing.
        mogrifier_steps: Annotated[int, Neutral(0)] = 4

    monkeypatch.setitem(OPTIONS, "pairs", Later)
    as_before = Later.model_validate({**before, "mogrifier_steps": 0})
    assert neutral_values(Later)["mogrifier_steps"] == 0
    assert resolved(as_before) == before
    assert parse_resolved("pairs", before) == as_before
    by_default = Later.model_validate(before)
    assert resolved(by_default) == before | {"mogrifier_steps": 4}
    assert parse_resolved("pairs", resolved(by_default)) == by_default


def test_what_is_written_is_kept_without_later_options_that_do_nothing():
    first = ["prompts", "samples", "length", "temperature", "top_k", "top_p", "skip", "seed"]
    assert list(resolved(Generate(prompts=["you"]))) == first
    given_ones = {"min_p": 0.1, "repetition_penalty": 1.2, "length_penalty": 0.5}
    kept = resolved(Generate(prompts=["you"], temperature=0.0, beam_width=2, **given_ones))
    assert kept.keys() - set(first) == {*given_ones, "beam_width"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_width": 2}, "beam_width: a beam searches, a temperature draws; choose one"),
        (
            {"beam_width": 2, "temperature": 0.0, "samples": 3},
            "samples: a beam of 2 finds no more than that",
        ),
        ({"beam_width": 0}, "beam_width"),
        ({"min_p": 1.1}, "min_p"),
        ({"repetition_penalty": 0.9}, "repetition_penalty"),
        ({"repetition_penalty": float("inf")}, "repetition_penalty"),
        ({"length_penalty": -1.0}, "length_penalty"),
    ],
)
def test_what_cannot_be_written_is_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        Generate(prompts=["you"], **options)


def test_a_kept_option_that_is_not_known_is_refused():
    with pytest.raises(ValidationError, match="heads"):
        parse_resolved("pairs", resolved(pairs_options()) | {"heads": 2})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": "average"}, "averaged_epochs: say of how many"),
        ({"averaged_epochs": 1}, "averaged_epochs: say of how many"),
        ({"keep": "average", "averaged_epochs": 3}, "averaged_epochs: more than epochs"),
        ({"mogrifier_rounds": 2, "cell": "gru"}, "mogrifier_rounds: only of cell lstm"),
        ({"bidirectional": True}, "bidirectional: a language model that reads a text from its end"),
    ],
)
def test_options_of_a_corpus_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        corpus_options(**options)


def test_options_that_belong_together_are_taken_together():
    assert corpus_options(keep="average", averaged_epochs=2).averaged_epochs == 2
    assert corpus_options(mogrifier_rounds=5).mogrifier_rounds == 5
    with pytest.raises(ValidationError, match="bidirectional\n  Extra inputs"):
        corpus_options(bidirectional=False)
