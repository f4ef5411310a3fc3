"""An option that is added later changes nothing of what was trained before it was there."""

import json
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.toys import (
    COMMON,
    LATER_OF_ALL,
    LATER_OF_PAIRS,
    corpus_options,
    few_examples,
    labels_options,
    pairs_options,
    record,
    seq2seq,
    subject,
    trained,
)
from unroll.errors import DataError
from unroll.options import (
    OPTIONS,
    Neutral,
    PairsOptions,
    Share,
    neutral_values,
    parse_resolved,
    resolved,
)
from unroll.runs.model import read_model, write_model
from unroll.runs.record import read_documents, read_record, write_documents


class Later(PairsOptions):
    """Pairs in a later version, in which hidden units can be kept as they were."""

    zoneout: Annotated[Share, Neutral(0.0)] = 0.0


class Better(PairsOptions):
    """The same, where new variants have it unless they say otherwise."""

    zoneout: Annotated[Share, Neutral(0.0)] = 0.1


def options(of=PairsOptions, **changes):
    return of.model_validate({**COMMON, **changes})


@pytest.fixture
def before(tmp_path):
    """Return a record with a model that was written before the option was there."""
    write_model(tmp_path / "seed-0", trained(seq2seq(), pairs_options()))
    return tmp_path / "seed-0"


@pytest.fixture(params=[Later, Better])
def later(request, monkeypatch, before):
    """Have the option from now on."""
    monkeypatch.setitem(OPTIONS, "pairs", request.param)
    return request.param


def test_where_it_does_nothing_it_is_no_part_of_what_is_kept():
    assert "zoneout" in neutral_values(Later)
    for given_options in (options(Later), options(Later, zoneout=0.0), options(Later, zoneout=0)):
        assert resolved(given_options) == resolved(options())
        for seed in (None, 0):
            assert subject(given_options).key(seed) == subject(options()).key(seed)


def test_where_it_does_something_it_is_a_part():
    with_it = options(Later, zoneout=0.1)
    assert resolved(with_it) == {**resolved(options()), "zoneout": 0.1}
    assert subject(with_it).key(0) != subject(options()).key(0)
    assert resolved(options(Better)) == resolved(with_it)  # by its default


def test_where_it_does_nothing_the_record_is_of_the_same_bytes(tmp_path):
    for name, of in (("before", PairsOptions), ("later", Later), ("better", Better)):
        changes = {"zoneout": 0.0} if of is Better else {}
        write_documents(tmp_path / name, record(options(of, **changes)))
    for path in (tmp_path / "before").iterdir():
        for name in ("later", "better"):
            assert (tmp_path / name / path.name).read_bytes() == path.read_bytes()


def test_a_record_without_it_is_read_as_one_in_which_it_does_nothing(before, later):
    found = read_record(before)
    assert type(found.options) is later
    assert found.options.zoneout == 0.0
    assert found.key == subject(pairs_options()).key(0)
    assert read_model(before).options == found.options


def test_a_record_with_it_is_read_as_it_was_written(tmp_path, later):
    made = record(options(later, zoneout=0.25))
    write_documents(tmp_path, made)
    found = read_documents(tmp_path)
    assert (found.options, found.key) == (made.options, made.key)


def test_a_record_with_it_is_refused_where_it_is_not_known_yet(tmp_path):
    write_documents(tmp_path, record(options(Later, zoneout=0.25)))
    with pytest.raises(DataError, match="PairsOptions, zoneout: Extra inputs are not permitted"):
        read_documents(tmp_path)


def test_the_options_that_came_later_are_these():
    """A new name here needs no training; one that goes missing makes old records unreadable."""
    assert {kind: neutral_values(of) for kind, of in OPTIONS.items()} == {
        "pairs": LATER_OF_PAIRS,
        "replies": LATER_OF_PAIRS,
        "captions": {**LATER_OF_PAIRS, "encoder": "small"},
        "corpus": {
            **LATER_OF_ALL,
            "input_dropout": None,
            "output_dropout": None,
            "embedding_dropout": 0.0,
            "weight_drop": 0.0,
            "activation_penalty": 0.0,
            "slowness_penalty": 0.0,
            "random_time_steps": False,
            "mogrifier_rounds": 0,
            "softmaxes": 1,
            "evaluation_batch_size": 1,
        },
        "labels": {**LATER_OF_ALL, "embedding": "learned", "double_source": False},
    }


def test_a_record_of_the_first_version_needs_no_more_options_than_these():
    first = {"pairs": resolved(pairs_options()), "corpus": resolved(corpus_options())}
    first["labels"] = resolved(labels_options())
    of_encoders = {"reverse_source", "bidirectional", "padding"}
    more = {
        "pairs": of_encoders | {"decoder", "bridge"},
        "labels": of_encoders | {"pooling"},
        "corpus": {"time_steps", "tie_weights", "skip_connections", "variational_dropout"},
    }
    of_all = {"task", "seeds", "cell", "layers", "embedding_size", "hidden_size", "dropout", "init"}
    of_all |= {"match_parameters", "epochs", "batch_size", "optimizer", "learning_rate"}
    of_all |= {"weight_decay", "schedule", "clip"}
    for kind, found in first.items():
        assert found.keys() == of_all | more[kind]


@few_examples
@given(
    forcing=st.sampled_from([0.0, 0.5, 1.0, 0, 1]),
    by=st.sampled_from(["step", "sequence"]),
    rate=st.floats(1e-6, 10),
    clip=st.none() | st.floats(0.1, 9),
)
def test_what_is_kept_of_options_is_read_as_the_same_options(forcing, by, rate, clip):
    made = pairs_options(
        teacher_forcing=forcing, teacher_forcing_by=by, learning_rate=rate, clip=clip
    )
    kept = json.loads(json.dumps(resolved(made)))
    assert parse_resolved("pairs", kept) == made


@pytest.mark.parametrize("make", [pairs_options, corpus_options, labels_options])
def test_options_of_each_kind_are_read_as_they_were_kept(make):
    made = make(dropout=0.5, layers=2)
    assert parse_resolved(made.kind, json.loads(json.dumps(resolved(made)))) == made


def test_what_is_kept_has_all_that_has_no_neutral_value():
    kept = resolved(pairs_options())
    del kept["dropout"]  # it has a default, which may change
    assert parse_resolved("pairs", kept).dropout == 0.0
    del kept["epochs"]
    with pytest.raises(ValidationError, match="epochs"):
        parse_resolved("pairs", kept)
