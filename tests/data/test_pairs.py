from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.data.pairs import SPLITS, Pairs, encode_lines, load_pairs, save_pairs
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError

REMEDY = "run: dvc repro prepare@sums"
VOCABULARY = Vocabulary(tuple("_ 0123456789+"))


def make_pairs():
    sources = {s: encode_lines(["1+2", "10+5"], 5, VOCABULARY, s) for s in SPLITS}
    targets = {s: encode_lines(["_3", "_15"], 4, VOCABULARY, s) for s in SPLITS}
    return Pairs(VOCABULARY, sources, targets, {"counts": dict.fromkeys(SPLITS, 2)})


def test_texts_are_filled_with_blanks_at_their_end():
    ids = encode_lines(["1+2", "10+59"], 5, VOCABULARY, "here")
    assert ids.tolist() == [[3, 12, 4, 1, 1], [3, 2, 12, 7, 11]]
    assert ids.dtype == np.int64


def test_no_texts_give_an_empty_array_of_the_right_width():
    assert encode_lines([], 5, VOCABULARY, "here").shape == (0, 5)


@given(st.lists(st.text("0123456789+", min_size=1, max_size=7), min_size=1))
def test_decoded_rows_without_blanks_are_the_texts(texts):
    rows = encode_lines(texts, 7, VOCABULARY, "here")
    assert rows.shape == (len(texts), 7)
    assert ["".join(VOCABULARY.decode(row)).rstrip(BLANK) for row in rows.tolist()] == texts


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["1", ""], "date.txt, line 2: empty"),
        (["1", "2", "   "], "date.txt, line 3: empty"),
        (["123456"], "date.txt, line 1: '123456' has 6 symbols, at most 5 fit"),
        (["1", "2x"], "date.txt, line 2: 'x' is not in the vocabulary"),
    ],
)
def test_text_that_does_not_fit_is_named_with_its_line(texts, message):
    with pytest.raises(DataError) as caught:
        encode_lines(texts, 5, VOCABULARY, "date.txt")
    assert str(caught.value) == message


def test_form_and_blank_are_what_a_model_must_know():
    pairs = make_pairs()
    assert pairs.form == {"source_length": 5, "target_length": 4, "start": "_"}
    assert pairs.blank == 1


def test_pairs_come_back_as_they_were(tmp_path):
    pairs = make_pairs()
    save_pairs(pairs, tmp_path / "sums")
    back = load_pairs(tmp_path / "sums", REMEDY)
    assert back.vocabulary == pairs.vocabulary
    assert (back.facts, back.form) == (pairs.facts, pairs.form)
    for split in SPLITS:
        assert np.array_equal(back.sources[split], pairs.sources[split])
        assert np.array_equal(back.targets[split], pairs.targets[split])


def test_cut_off_pairs_are_refused_with_remedy(tmp_path):
    save_pairs(make_pairs(), tmp_path / "sums")
    path = tmp_path / "sums" / "arrays.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=rf"arrays\.safetensors is damaged .*; {REMEDY}$"):
        load_pairs(tmp_path / "sums", REMEDY)


def with_a_source_less(pairs):
    return replace(pairs, sources={**pairs.sources, "test": pairs.sources["test"][:1]})


def with_longer_sources(pairs):
    longer = encode_lines(["1+2", "10+5"], 6, VOCABULARY, "here")
    return replace(pairs, sources={**pairs.sources, "valid": longer})


def with_shorter_targets(pairs):
    return replace(pairs, targets={**pairs.targets, "test": pairs.targets["test"][:, :3]})


def without_answers(pairs):
    return replace(pairs, targets={split: ids[:, :1] for split, ids in pairs.targets.items()})


def with_another_start(pairs):
    other = encode_lines(["_3", "315"], 4, VOCABULARY, "here")
    return replace(pairs, targets={**pairs.targets, "valid": other})


def with_another_start_in_a_split(pairs):
    other = encode_lines(["33", "315"], 4, VOCABULARY, "here")
    return replace(pairs, targets={**pairs.targets, "test": other})


def without_a_blank(pairs):
    return replace(pairs, vocabulary=Vocabulary(tuple("_.0123456789+")))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (with_a_source_less, "a split has more sources than targets, or fewer"),
        (with_longer_sources, "the splits have sequences of different lengths"),
        (with_shorter_targets, "the splits have sequences of different lengths"),
        (without_answers, "the targets have no room for an answer"),
        (with_another_start, "not all targets begin with one start symbol"),
        (with_another_start_in_a_split, "not all targets begin with one start symbol"),
        (without_a_blank, "the vocabulary has no blank"),
    ],
)
def test_pairs_that_do_not_fit_together_are_refused_with_remedy(tmp_path, change, fault):
    save_pairs(change(make_pairs()), tmp_path / "sums")
    with pytest.raises(DataError) as caught:
        load_pairs(tmp_path / "sums", REMEDY)
    assert str(caught.value) == f"{tmp_path / 'sums'}: {fault}; {REMEDY}"
