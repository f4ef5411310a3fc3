import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from fuzz.damage import seal
from unroll.data.labels import Labelled, LabelsForm, from_texts, load_labelled, save_labelled
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


WORDS = {
    "train": [("a cat sees", "see"), ("a dog hears", "hear"), ("a cat hears a dog", "hear")],
    "valid": [("a bird sees", "see")],
    "test": [("the cat sees it", "see"), ("a dog smells", "smell")],
}


def test_texts_become_symbols_of_train_and_labels_of_all_splits():
    data = from_texts(WORDS, "word", {"source": "here"})
    assert data.form.source.symbols == ["<pad>", "<unk>", "a", "cat", "sees", "dog", "hears"]
    assert (data.form.source.unit, data.form.source_width) == ("word", 5)
    assert data.form.labels == ["hear", "see", "smell"]  # the last stands in test alone
    assert {split: data.labels[split].tolist() for split in SPLITS} == {
        "train": [1, 0, 0],
        "valid": [1],
        "test": [1, 2],
    }
    assert data.sources["train"].ids.tolist() == [[2, 3, 4, 0, 0], [2, 5, 6, 0, 0], [2, 3, 6, 2, 5]]
    assert data.sources["test"].ids.tolist() == [[1, 3, 4, 1, 0], [2, 5, 1, 0, 0]]
    assert data.sources["test"].lengths.tolist() == [4, 3]
    assert data.facts == {"source": "here", "counts": {"train": 3, "valid": 1, "test": 2}}


def test_the_longest_text_of_any_split_fits():
    data = from_texts({**WORDS, "test": [("a b c d e f g", "see")]}, "word")
    assert data.form.source_width == 7
    assert data.sources["train"].ids.shape == (3, 7)


def test_questions_are_the_texts_as_they_were():
    data = from_texts(WORDS, "word")
    assert data.questions("test") == ["the cat sees it", "a dog smells"]
    assert data.sources["test"].texts(data.form.source)[0] == "<unk> cat sees <unk>"
    assert data.answers("test") == ["see", "smell"]


def test_what_is_seldom_in_train_is_unknown():
    data = from_texts(WORDS, "word", minimum_count=2)
    assert data.form.source.symbols == ["<pad>", "<unk>", "a", "cat", "dog", "hears"]
    assert data.sources["train"].texts(data.form.source)[0] == "a cat <unk>"
    assert data.questions("train")[0] == "a cat sees"


def test_by_default_symbols_are_characters():
    rows = [("ab", "x"), ("b", "y")]
    data = from_texts(dict.fromkeys(SPLITS, rows))
    assert data.form.source.symbols == ["<pad>", "<unk>", "a", "b"]
    assert data.form.source_width == 2


def test_a_count_that_leaves_no_symbol_is_refused():
    assert len(from_texts(WORDS, "word", minimum_count=4).form.source) == 3  # a
    with pytest.raises(DataError, match="minimum_count: no symbol stands so often in train"):
        from_texts(WORDS, "word", minimum_count=5)


def test_an_empty_text_is_refused_with_its_place():
    with pytest.raises(DataError, match="valid, line 2: empty"):
        from_texts({**WORDS, "valid": [("a", "see"), ("", "see")]}, "word")


def test_one_label_is_nothing_to_tell_apart():
    with pytest.raises(ValidationError, match="labels"):
        from_texts({split: [("a", "x"), ("b", "x")] for split in SPLITS})


def test_texts_come_back_and_where_there_are_none_there_is_no_file(tmp_path):
    data = from_texts(WORDS, "word", {"source": "hier, où"})
    save_labelled(data, tmp_path / "words")
    back = load_labelled(tmp_path / "words")
    assert back.texts == data.texts == {s: [text for text, _ in of] for s, of in WORDS.items()}
    assert (back.form, back.facts) == (data.form, data.facts)
    assert [back.questions(split) for split in SPLITS] == [
        data.questions(split) for split in SPLITS
    ]
    save_labelled(make_labelled(), tmp_path / "letters")
    assert not (tmp_path / "letters" / "texts.json").exists()
    assert load_labelled(tmp_path / "letters").texts is None


NO_TEXTS = "texts.json does not hold the texts of each split"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"test": ["the cat sees it"]}, "words does not have the text of each source"),
        ({"valid": []}, "words does not have the text of each source"),
        ({"test": ["a", 2]}, NO_TEXTS),
        ({"test": "ab"}, NO_TEXTS),
        ({"test": None}, NO_TEXTS),
        ({"test": {"0": "a", "1": "b"}}, NO_TEXTS),
        ({"test": [["a"], ["b"]]}, NO_TEXTS),
    ],
    ids=str,
)
def test_texts_that_do_not_fit_are_refused(tmp_path, change, fault):
    folder = tmp_path / "words"
    save_labelled(from_texts(WORDS, "word"), folder)
    path = folder / "texts.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=r"texts\.json is damaged"):
        load_labelled(folder)
    seal(folder)
    with pytest.raises(DataError, match=f"{fault}$"):
        load_labelled(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"train": []}', "no JSON", "\ud800"])
def test_a_file_of_texts_that_is_none_is_refused(tmp_path, content):
    save_labelled(from_texts(WORDS, "word"), tmp_path / "words")
    (tmp_path / "words" / "texts.json").write_bytes(content.encode(errors="surrogatepass"))
    seal(tmp_path / "words")
    with pytest.raises(DataError, match=r"texts\.json"):
        load_labelled(tmp_path / "words")
