from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from unroll.data.labels import Labelled, LabelsForm, load_labelled, save_labelled
from unroll.data.sequences import SPLITS, Sequences, encode
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError

LETTERS = Vocabulary([*"#abc"], special={"pad": "#"})
FORM = LabelsForm(source=LETTERS, source_width=4, labels=["odd", "even"])


def make_labelled():
    sources = {s: encode(["a", "ab", "cab"], LETTERS, 4, s) for s in SPLITS}
    labels = dict.fromkeys(SPLITS, np.array([0, 1, 0], dtype=np.int32))
    return Labelled(FORM, sources, labels, {"counts": dict.fromkeys(SPLITS, 3)})


def test_questions_and_answers_are_texts_and_names():
    data = make_labelled()
    assert data.questions("test") == ["a", "ab", "cab"]
    assert data.answers("test") == ["odd", "even", "odd"]


def test_labelled_sequences_come_back_as_they_were(tmp_path):
    data = make_labelled()
    save_labelled(data, tmp_path / "parity")
    back = load_labelled(tmp_path / "parity")
    assert (back.form, back.facts) == (data.form, data.facts)
    for split in SPLITS:
        assert np.array_equal(back.sources[split].ids, data.sources[split].ids)
        assert np.array_equal(back.sources[split].lengths, data.sources[split].lengths)
        assert np.array_equal(back.labels[split], data.labels[split])
        assert isinstance(back.sources[split].ids, np.memmap)
        assert isinstance(back.labels[split], np.memmap)


def with_labels(labels):
    data = make_labelled()
    return replace(data, labels={**data.labels, "valid": np.array(labels)})


def with_a_source_less():
    data = make_labelled()
    fewer = data.sources["valid"].part(slice(2))
    return replace(data, sources={**data.sources, "valid": fewer})


def with_ids_of_no_symbol():
    data = make_labelled()
    wrong = Sequences(np.full((3, 4), 4), np.full(3, 4))
    return replace(data, sources={**data.sources, "valid": wrong})


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (with_labels([0, 1]), "valid has no label for each source"),
        (with_labels([0, 1, 2]), "valid has no label for each source"),
        (with_labels([0, 1, -1]), "valid has no label for each source"),
        (with_labels([[0, 1, 0]]), "valid has no label for each source"),
        (with_labels(1), "valid has no label for each source"),
        (with_a_source_less(), "valid has no label for each source"),
        (with_ids_of_no_symbol(), "valid.source holds ids of no symbol"),
    ],
)
def test_labels_that_do_not_fit_their_sources_are_refused(tmp_path, data, fault):
    save_labelled(data, tmp_path / "parity")
    with pytest.raises(DataError) as caught:
        load_labelled(tmp_path / "parity")
    assert str(caught.value) == f"{tmp_path / 'parity'}: {fault}"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"labels": ["odd"]}, "labels"),  # nothing to tell apart
        ({"labels": ["odd", ""]}, r"labels\.1"),
        ({"labels": ["odd", "odd"]}, "a label stands there twice"),
        ({"source": Vocabulary(["a"])}, "the vocabulary has no symbol for pad"),
        ({"source_width": 0}, "source_width"),
        ({"more": 1}, "more"),
    ],
    ids=str,
)
def test_what_no_model_could_use_is_no_form(change, fault):
    with pytest.raises(ValidationError, match=fault):
        LabelsForm.model_validate({**dict(FORM), **change})
