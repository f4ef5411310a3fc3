from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from models.toys import ragged
from unroll.data.pairs import Pairs, PairsForm, from_texts, load_pairs, save_pairs
from unroll.data.sequences import SPLITS, Sequences, encode
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError

BOOK = Vocabulary([*"_ 0123456789+"], special={"pad": " ", "start": "_", "end": " "})
FORM = PairsForm(source=BOOK, source_width=5, target_width=4)


def make_pairs():
    sources = {s: encode(["1+2", "10+5"], BOOK, 5, s) for s in SPLITS}
    targets = {s: encode(["3", "15"], BOOK, 4, s, start=True, end=True) for s in SPLITS}
    return Pairs(FORM, sources, targets, {"counts": dict.fromkeys(SPLITS, 2)})


def test_questions_and_answers_are_the_texts():
    pairs = make_pairs()
    assert pairs.questions("valid") == ["1+2", "10+5"]
    assert pairs.answers("valid") == ["3", "15"]


def test_each_side_may_have_a_vocabulary_of_its_own():
    pairs = ragged()
    assert pairs.form.answers is pairs.form.target
    assert set("".join(pairs.questions("train"))) <= set("abcdef")
    assert set("".join(pairs.answers("train"))) <= set("uvwxyz")
    assert FORM.answers is FORM.source


@pytest.mark.parametrize("pairs", [make_pairs(), ragged()], ids=["one vocabulary", "two"])
def test_pairs_come_back_as_they_were(tmp_path, pairs):
    save_pairs(pairs, tmp_path / "sums")
    back = load_pairs(tmp_path / "sums")
    assert (back.facts, back.form) == (pairs.facts, pairs.form)
    for split in SPLITS:
        for found, expected in (
            (back.sources[split], pairs.sources[split]),
            (back.targets[split], pairs.targets[split]),
        ):
            assert np.array_equal(found.ids, expected.ids)
            assert np.array_equal(found.lengths, expected.lengths)
            assert isinstance(found.ids, np.memmap)
            assert isinstance(found.lengths, np.memmap)


def test_cut_off_pairs_are_refused_by_the_name_of_the_file(tmp_path):
    save_pairs(make_pairs(), tmp_path / "sums")
    path = tmp_path / "sums" / "train.source.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"train\.source\.npy is damaged "):
        load_pairs(tmp_path / "sums")


def with_a_source_less(pairs):
    return replace(pairs, sources={**pairs.sources, "test": pairs.sources["test"].part(slice(1))})


def with_longer_sources(pairs):
    longer = encode(["1+2", "10+5"], BOOK, 6, "here")
    return replace(pairs, sources={**pairs.sources, "valid": longer})


def with_targets(pairs, split, ids=None, lengths=None):
    """Return the pairs with other ids or lengths of the targets of a split."""
    before = pairs.targets[split]
    ids = before.ids if ids is None else np.array(ids)
    lengths = before.lengths if lengths is None else np.array(lengths)
    return replace(pairs, targets={**pairs.targets, split: Sequences(ids, lengths)})


def with_shorter_targets(pairs):
    return with_targets(pairs, "test", ids=pairs.targets["test"].ids[:, :3])


def without_answers(pairs):
    return with_targets(pairs, "valid", lengths=[1, 4])


def with_another_start(pairs):
    return with_targets(pairs, "valid", ids=[[0, 5, 1, 1], [5, 3, 7, 1]])


def with_another_start_in_a_split(pairs):
    return with_targets(pairs, "test", ids=[[5, 5, 1, 1], [5, 3, 7, 1]])


def with_ids_of_no_symbol(pairs):
    return with_targets(pairs, "test", ids=[[0, 5, 1, 1], [0, 13, 7, 1]])


def with_ids_below_zero(pairs):
    return with_targets(pairs, "test", ids=[[0, 5, 1, 1], [0, -1, 7, 1]])


def with_a_length_too_many(pairs):
    return with_targets(pairs, "train", lengths=[3, 4, 4])


def with_a_length_beyond(pairs):
    return with_targets(pairs, "train", lengths=[3, 5])


def with_a_length_of_nothing(pairs):
    return with_targets(pairs, "train", lengths=[0, 4])


def with_a_stream(pairs):
    return with_targets(pairs, "train", ids=[0, 4])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (with_a_source_less, "test has more sources than targets, or fewer"),
        (with_longer_sources, "valid.source is not of the shape that form.json says"),
        (with_shorter_targets, "test.target is not of the shape that form.json says"),
        (with_a_length_too_many, "train.target is not of the shape that form.json says"),
        (with_a_stream, "train.target is not of the shape that form.json says"),
        (with_ids_of_no_symbol, "test.target holds ids of no symbol"),
        (with_ids_below_zero, "test.target holds ids of no symbol"),
        (with_a_length_beyond, "train.target holds lengths that no sequence can have"),
        (with_a_length_of_nothing, "train.target holds lengths that no sequence can have"),
        (without_answers, "a target has no answer"),
        (with_another_start, "not all targets begin with the start symbol"),
        (with_another_start_in_a_split, "not all targets begin with the start symbol"),
    ],
)
def test_pairs_that_do_not_fit_together_are_refused(tmp_path, change, fault):
    save_pairs(change(make_pairs()), tmp_path / "sums")
    with pytest.raises(DataError) as caught:
        load_pairs(tmp_path / "sums")
    assert str(caught.value) == f"{tmp_path / 'sums'}: {fault}"


PLAIN = Vocabulary(["a"])
PADDED = Vocabulary(["a", "b", "c"], special={"pad": "a"})
COMPLETE = Vocabulary(["a", "b", "c"], special={"pad": "a", "start": "b", "end": "c"})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"source": PLAIN, "target": COMPLETE}, "the source's vocabulary has no symbol for pad"),
        ({"source": PADDED}, "the target's vocabulary has no symbol for start"),
        ({"target": PLAIN}, "the target's vocabulary has no symbol for pad"),
        ({"target": PADDED}, "the target's vocabulary has no symbol for start"),
        ({"source_width": 0}, "source_width"),
        ({"source_width": 4.5}, "source_width"),
        ({"target_width": 1}, "target_width"),  # a start and nothing else
        ({"target_width": 10_001}, "target_width"),
        ({"more": 1}, "more"),
    ],
    ids=str,
)
def test_what_no_model_could_use_is_no_form(change, fault):
    with pytest.raises(ValidationError, match=fault):
        PairsForm.model_validate({**dict(FORM), **change})


def test_the_shortest_answer_has_a_start_and_one_symbol():
    form = PairsForm(source=COMPLETE, source_width=1, target_width=2)
    assert form.target_width == 2


# Levels


@pytest.mark.parametrize("levels", [[1, 2], [7, 7]])
def test_levels_come_back_as_they_were(tmp_path, levels):
    save_pairs(replace(make_pairs(), levels=np.array(levels)), tmp_path / "sums")
    back = load_pairs(tmp_path / "sums")
    assert back.levels.tolist() == levels
    assert isinstance(back.levels, np.memmap)


def test_pairs_without_levels_have_none_when_they_come_back(tmp_path):
    save_pairs(replace(make_pairs(), levels=np.array([1, 2])), tmp_path / "sums")
    save_pairs(make_pairs(), tmp_path / "sums")
    assert load_pairs(tmp_path / "sums").levels is None


@pytest.mark.parametrize(
    "levels", [[1], [1, 2, 3], [0, 1], [1, -1], [[1], [2]], [[1, 2]], [[1, 1], [2, 2]]], ids=str
)
def test_levels_that_are_none_of_the_pairs_of_train_are_refused(tmp_path, levels):
    save_pairs(replace(make_pairs(), levels=np.array(levels)), tmp_path / "sums")
    with pytest.raises(DataError) as caught:
        load_pairs(tmp_path / "sums")
    told = f"{tmp_path / 'sums'} does not say how hard each pair of train is"
    assert str(caught.value) == told


def test_cut_off_levels_are_refused_by_the_name_of_the_file(tmp_path):
    save_pairs(replace(make_pairs(), levels=np.array([1, 2])), tmp_path / "sums")
    path = tmp_path / "sums" / "train.levels.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"train\.levels\.npy is damaged "):
        load_pairs(tmp_path / "sums")


# Alphabets

FEW = {split: [("ab", "u"), ("ba", "uu")] for split in SPLITS}


def test_an_alphabet_is_known_though_it_stands_in_no_text():
    form = from_texts(FEW, alphabets=("xbc", "vu")).form
    assert form.source.symbols == ["<pad>", "<unk>", "x", "b", "c", "a"]
    assert form.answers.symbols == ["<pad>", "<sos>", "<eos>", "<unk>", "v", "u"]
    assert (form.source_width, form.target_width) == (2, 4)  # of texts alone


def test_without_an_alphabet_what_stands_in_train_is_known_alone():
    splits = {**FEW, "test": [("abx", "v")]}
    data = from_texts(splits)
    assert data.form.source.symbols == ["<pad>", "<unk>", "a", "b"]
    assert data.questions("test") == ["ab<unk>"]
    assert from_texts(splits, alphabets=("x", "v")).questions("test") == ["abx"]


def test_an_alphabet_is_known_however_often_what_else_is_known_must_stand_in_train():
    form = from_texts(FEW, minimum_count=3, alphabets=("xa", "v")).form
    assert set(form.source.symbols) == {"<pad>", "<unk>", "x", "a"}
    assert set(form.answers.symbols) == {"<pad>", "<sos>", "<eos>", "<unk>", "v", "u"}


def test_what_stands_once_in_train_and_in_no_alphabet_is_rare():
    rows = [("ab", "u"), ("aa", "u")]
    form = from_texts(dict.fromkeys(SPLITS, rows), minimum_count=2, alphabets=("a", "u")).form
    assert form.source.symbols == ["<pad>", "<unk>", "a"]
