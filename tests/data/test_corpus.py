import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.data.corpus import (
    LONGEST_LINE,
    Corpus,
    CorpusForm,
    from_texts,
    load_corpus,
    read_texts,
    save_corpus,
    words,
)
from unroll.data.sequences import SPLITS
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError

PLACES = {split: f"{split}.txt" for split in SPLITS}


def build(train, valid="a\n", test="a\n"):
    return from_texts({"train": train, "valid": valid, "test": test}, PLACES, {"source": "here"})


def test_line_ends_become_eos_and_white_space_parts_words():
    assert words(" a  b\tc \n d\n") == ["a", "b", "c", "<eos>", "d", "<eos>"]


def test_windows_line_ends_are_read_alike():
    assert words("a b\r\nc\r\n") == words("a b\nc\n")


def test_words_are_numbered_by_first_appearance_in_train():
    corpus = build("the cat saw the dog\nthe end\n", valid="the end\n", test="dog cat\n")
    assert corpus.vocabulary.symbols == ["the", "cat", "saw", "dog", "<eos>", "end"]
    assert corpus.tokens["train"].tolist() == [0, 1, 2, 0, 3, 4, 0, 5, 4]
    assert corpus.tokens["valid"].tolist() == [0, 5, 4]
    assert corpus.tokens["test"].tolist() == [3, 1, 4]
    assert corpus.eos == 4
    assert (corpus.vocabulary.unit, corpus.vocabulary.special) == ("word", {"end": "<eos>"})
    assert corpus.facts == {
        "source": "here",
        "counts": {"train": 9, "valid": 3, "test": 3},
        "words": 6,
    }


def test_last_line_needs_no_end():
    assert build("a\nb").tokens["train"].tolist() == [0, 1, 2]


def test_word_that_train_lacks_becomes_unk_where_train_has_it():
    corpus = build("a <unk> b\n", valid="a zebra\n", test="yak b\n")
    assert corpus.vocabulary.symbols == ["a", "<unk>", "b", "<eos>"]
    assert corpus.tokens["valid"].tolist() == [0, 1, 3]
    assert corpus.tokens["test"].tolist() == [1, 2, 3]
    assert corpus.vocabulary.special == {"end": "<eos>", "unknown": "<unk>"}


lines = st.lists(st.lists(st.sampled_from(["a", "b", "c", "ö"]), min_size=1), min_size=1)


@given(lines)
def test_decoded_tokens_are_the_text(lines):
    text = "".join(" ".join(line) + "\n" for line in lines)
    corpus = build("a " + text)
    decoded = corpus.vocabulary.decode(corpus.tokens["train"].tolist())
    assert " ".join(decoded).replace(" <eos>", "\n").replace("\n ", "\n") == "a " + text


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("text", ["", "\n\n", " \n\t"])
def test_a_file_without_text_is_named(split, text):
    with pytest.raises(DataError, match=rf"^{split}\.txt holds no text"):
        build(**{"train": "a\n", split: text})


@pytest.mark.parametrize("text", ["\na b\n\n \nc\n", "a b\n\t\n\n\nc\n", "a b\nc\n\n\n\n"])
def test_blank_lines_are_no_sentences_and_are_counted(text):
    corpus, plain = build(text), build("a b\nc\n")
    np.testing.assert_array_equal(corpus.tokens["train"], plain.tokens["train"])
    assert corpus.facts.pop("blank_lines") == {"train": 3, "valid": 0, "test": 0}
    assert corpus.facts == plain.facts


def test_blank_lines_count_in_the_line_that_is_named():
    with pytest.raises(DataError, match=r"^valid\.txt, line 4: the word 'zebra'"):
        build("a\n", valid="a\n\n\nzebra\n")


def test_over_long_line_is_named_with_file_and_line():
    with pytest.raises(DataError, match=r"^test\.txt, line 2: 100,001 characters, at most 100,000"):
        build("a\n", test="a\n" + "a" * (LONGEST_LINE + 1) + "\n")


def test_longest_line_is_taken():
    assert build("b" * LONGEST_LINE + "\na\n").facts["counts"]["train"] == 4


def test_unknown_word_is_named_with_file_and_line_where_train_has_no_unk():
    with pytest.raises(DataError) as caught:
        build("a b\n", valid="a\nb a zebra\n")
    assert str(caught.value) == (
        "valid.txt, line 2: the word 'zebra' does not stand in train, "
        "and train has no <unk> to take its place"
    )


def test_train_without_line_end_is_refused():
    with pytest.raises(DataError, match=r"^train\.txt has no line end: put one sentence on each"):
        build("a b c", valid="a", test="a")


def write_files(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def test_texts_are_found_by_the_names_of_the_splits(tmp_path):
    write_files(tmp_path, **{"my.train": "a\n", "my.valid": "b\n", "my.test": "ö\n", "notes": "x"})
    texts, places, notes = read_texts(tmp_path)
    assert notes == {}
    assert texts == {"train": "a\n", "valid": "b\n", "test": "ö\n"}
    assert places == {split: str(tmp_path / f"my.{split}.txt") for split in SPLITS}


def test_a_mark_of_an_editor_and_line_ends_of_windows_are_no_part_of_words(tmp_path):
    write_files(tmp_path, train="\ufeffa b\r\nc\r\n", valid="a\r\n", test="c\n")
    texts, _, notes = read_texts(tmp_path)
    assert texts == {"train": "a b\nc\n", "valid": "a\n", "test": "c\n"}
    windows = "line ends of Windows"
    assert notes == {"train": ["a byte order mark at the start", windows], "valid": [windows]}


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=rf"^{tmp_path / 'no'} is not a folder; it must hold train"):
        read_texts(tmp_path / "no")


def test_missing_file_is_named(tmp_path):
    write_files(tmp_path, train="a\n", valid="a\n")
    with pytest.raises(DataError) as caught:
        read_texts(tmp_path)
    assert str(caught.value) == f"{tmp_path}: expected one file like test.txt, found none"


def test_two_files_for_one_split_are_named(tmp_path):
    write_files(tmp_path, **{"train": "a\n", "train2": "a\n", "valid": "a\n", "test": "a\n"})
    with pytest.raises(DataError, match=r"like train\.txt, found train\.txt and train2\.txt$"):
        read_texts(tmp_path)


def test_file_in_another_encoding_is_named_with_its_line(tmp_path):
    write_files(tmp_path, train="a\n", test="a\n")
    (tmp_path / "valid.txt").write_bytes(b"a\n\xe9t\xe9\n")
    with pytest.raises(DataError, match=r"valid\.txt, line 2: not UTF-8 \(byte 0xe9\)"):
        read_texts(tmp_path)


def test_corpus_comes_back_as_it_was(tmp_path):
    corpus = build("a b <unk>\nö\n", valid="zebra\n")
    save_corpus(corpus, tmp_path / "prose")
    back = load_corpus(tmp_path / "prose")
    assert (back.form, back.facts, back.eos) == (corpus.form, corpus.facts, corpus.eos)
    for split in SPLITS:
        assert np.array_equal(back.tokens[split], corpus.tokens[split])


def test_tokens_stay_on_the_disk(tmp_path):
    save_corpus(build("a b\n"), tmp_path / "prose")
    tokens = load_corpus(tmp_path / "prose").tokens
    assert all(isinstance(stream, np.memmap) for stream in tokens.values())


def test_damaged_corpus_is_refused_by_the_name_of_the_file(tmp_path):
    save_corpus(build("a b\n"), tmp_path / "prose")
    (tmp_path / "prose" / "form.json").write_text('{"vocabulary": {"symbols": ["b", "<eos>"]}}')
    with pytest.raises(DataError, match=r"form\.json is damaged "):
        load_corpus(tmp_path / "prose")


def test_words_without_one_that_ends_a_sentence_are_no_form():
    with pytest.raises(ValueError, match="the vocabulary has no word that ends a sentence"):
        CorpusForm(vocabulary=Vocabulary(["a", "<eos>"], unit="word"))


@pytest.mark.parametrize(
    ("tokens", "fault"),
    [
        ({"valid": [0, 3]}, ": valid holds ids of no symbol"),
        ({"test": [0, -1]}, ": test holds ids of no symbol"),
        ({"train": [0]}, ": one token is no text to learn from"),
        ({"valid": [[0, 1]]}, " does not hold a stream of tokens for each split"),
        ({"more": [0, 1]}, " does not hold a stream of tokens for each split"),
        ({"test": None}, " does not hold a stream of tokens for each split"),
    ],
)
def test_tokens_that_are_no_streams_of_the_words_are_refused(tmp_path, tokens, fault):
    corpus = build("a b\n")
    streams = {split: np.array(ids) for split, ids in tokens.items() if ids is not None}
    kept = {split: ids for split, ids in corpus.tokens.items() if tokens.get(split, 1) is not None}
    save_corpus(Corpus(corpus.form, {**kept, **streams}, corpus.facts), tmp_path / "prose")
    with pytest.raises(DataError) as caught:
        load_corpus(tmp_path / "prose")
    assert str(caught.value) == f"{tmp_path / 'prose'}{fault}"
