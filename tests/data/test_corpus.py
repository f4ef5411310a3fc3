import re
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.data.corpus import (
    LONGEST_LINE,
    Corpus,
    CorpusForm,
    WordOptions,
    from_folder,
    from_lines,
    from_texts,
    load_corpus,
    save_corpus,
    words,
)
from unroll.data.sequences import SPLITS
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError

PLACES = {split: f"{split}.txt" for split in SPLITS}


def build(train, valid="a\n", test="a\n"):
    return from_texts({"train": train, "valid": valid, "test": test}, PLACES, {"source": "here"})


def cut(train, valid="a\n", test="a\n", **options):
    texts = {"train": train, "valid": valid, "test": test}
    lines = {split: text.splitlines(keepends=True) for split, text in texts.items()}
    return from_lines(lines, PLACES, {}, WordOptions(**options))


def plain(train, valid, test):
    """Return ids, words and facts as they are when whole texts are held, the plain way."""
    texts = {"train": train, "valid": valid, "test": test}
    blank = {split: len(re.findall(r"(?m)^[^\S\n]*\n", text)) for split, text in texts.items()}
    kept = {split: re.sub(r"(?m)^[^\S\n]*\n", "", text) for split, text in texts.items()}
    streams = {split: text.replace("\n", " <eos> ").split() for split, text in kept.items()}
    symbols = list(dict.fromkeys(streams["train"]))
    numbers = {symbol: i for i, symbol in enumerate(symbols)}
    facts = {"blank_lines": blank} if any(blank.values()) else {}
    counts = {split: len(stream) for split, stream in streams.items()}
    tokens = {
        split: np.array([numbers[w if w in numbers else "<unk>"] for w in stream], np.int32)
        for split, stream in streams.items()
    }
    return tokens, symbols, {**facts, "counts": counts, "words": len(symbols)}


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


PARTS = ["a", "b", "ö", "<unk>", "<eos>", " ", "\n", "\n", "\t", "\r", "\xa0", "\x85"]
texts = st.lists(st.sampled_from(PARTS)).map("".join)


@given(texts, texts, texts)
def test_lines_one_by_one_give_what_whole_texts_give(train, valid, test):
    train, valid, test = f"a <unk>\n{train}", f"{valid}\na", f"{test} a"
    corpus = from_texts({"train": train, "valid": valid, "test": test}, PLACES, {})
    tokens, symbols, facts = plain(train, valid, test)
    assert corpus.vocabulary.symbols == symbols
    assert list(corpus.facts.items()) == list(facts.items())
    for split in SPLITS:
        np.testing.assert_array_equal(corpus.tokens[split], tokens[split])
        assert corpus.tokens[split].dtype == np.int32


@given(texts, texts, texts)
def test_files_give_what_whole_texts_give(tmp_path_factory, train, valid, test):
    folder = tmp_path_factory.mktemp("texts")
    given = {"train": f"a <unk>\r\n{train}", "valid": f"a{valid}", "test": f"\ufeffa {test}"}
    for split, text in given.items():
        (folder / f"{split}.txt").write_bytes(text.encode())
    read = {s: text.removeprefix("\ufeff").replace("\r\n", "\n") for s, text in given.items()}
    tokens, symbols, facts = plain(**read)
    corpus = from_folder(str(folder), WordOptions())
    assert corpus.vocabulary.symbols == symbols
    assert all(np.array_equal(corpus.tokens[split], tokens[split]) for split in SPLITS)
    assert corpus.facts.items() >= {"source": str(folder), **facts}.items()


def test_rare_words_of_train_become_unk_and_so_do_those_that_it_lacks():
    corpus = cut("a b a\nc b d\n", valid="d zebra a\n", test="b\n", minimum_count=2)
    assert corpus.vocabulary.symbols == ["a", "b", "<eos>", "<unk>"]
    assert corpus.vocabulary.special == {"end": "<eos>", "unknown": "<unk>"}
    assert corpus.tokens["train"].tolist() == [0, 1, 0, 2, 3, 1, 3, 2]
    assert corpus.tokens["valid"].tolist() == [3, 3, 0, 2]
    assert corpus.facts == {
        "counts": {"train": 8, "valid": 4, "test": 2},
        "words": 4,
        "words_cut": 2,
        "became_unknown": {"train": 2, "valid": 2, "test": 0},
    }


def test_the_most_frequent_words_are_kept_and_of_equal_ones_the_first():
    corpus = cut("d c b a\na b\nb\ne\n", largest_vocabulary=5)
    assert corpus.vocabulary.symbols == ["d", "<unk>", "b", "a", "<eos>"]
    assert (corpus.facts["words"], corpus.facts["words_cut"]) == (5, 2)


@pytest.mark.parametrize(
    ("train", "largest", "symbols"),
    [
        ("a b a\n", 3, ["a", "b", "<eos>"]),  # all fit: nothing is cut, and nothing unknown
        ("a b a\nc\n", 4, ["a", "b", "<eos>", "c"]),
        ("a b a\nc\n", 3, ["a", "<unk>", "<eos>"]),
        ("a b a\n<unk>\n", 4, ["a", "b", "<eos>", "<unk>"]),
        ("a b a\n<unk>\n", 3, ["a", "<unk>", "<eos>"]),
    ],
)
def test_special_symbols_count_in_the_largest_vocabulary(train, largest, symbols):
    assert cut(train, largest_vocabulary=largest).vocabulary.symbols == symbols


def test_both_cuts_make_one():
    text = "a a a b b c c d\n"
    assert cut(text, minimum_count=2, largest_vocabulary=5).vocabulary.symbols == [
        *("a", "b", "c", "<unk>", "<eos>")
    ]
    assert cut(text, minimum_count=2, largest_vocabulary=4).vocabulary.symbols == [
        *("a", "b", "<unk>", "<eos>")
    ]


def test_what_train_itself_calls_unknown_is_no_word_that_became_so():
    facts = cut("a a <unk> b\n", valid="<unk> c\n", minimum_count=2).facts
    assert facts["words_cut"] == 1
    assert facts["became_unknown"] == {"train": 1, "valid": 1, "test": 0}


def test_lower_case_comes_before_counting():
    corpus = cut("The the ÖL\nIst öl\n", valid="THE Öl\n", test="the\n", lower_case=True)
    assert corpus.vocabulary.symbols == ["the", "öl", "<eos>", "ist"]
    assert corpus.tokens["valid"].tolist() == [0, 1, 2]
    assert "words_cut" not in corpus.facts
    both = cut("The the ÖL\nIst öl\n", test="the\n", lower_case=True, minimum_count=2)
    assert both.vocabulary.symbols == ["the", "öl", "<eos>", "<unk>"]


words_of = st.lists(st.lists(st.sampled_from("aAbBcCdeé"), max_size=6), min_size=1, max_size=8)


@given(
    words_of,
    words_of,
    st.booleans(),
    st.integers(1, 4),
    st.none() | st.integers(3, 9),
)
def test_a_cut_corpus_is_that_of_the_text_with_unk_written_in(train, valid, lower, least, largest):
    def text(lines, known=None):
        rows = [[w.lower() if lower else w for w in line] for line in lines]
        return "".join(
            " ".join(w if known is None or w in known else "<unk>" for w in row) + "\n"
            for row in rows
        )

    train = [["a"] * 4, *train]
    counts = Counter(text(train).split())
    often = [w for w, n in counts.items() if n >= least]
    if largest and len(often) + 1 + (len(often) < len(counts)) > largest:
        often = [w for w, _ in counts.most_common() if w in often][: largest - 2]
    options = {"lower_case": lower, "minimum_count": least, "largest_vocabulary": largest}
    raw = ["".join(" ".join(line) + "\n" for line in lines) for lines in (train, [["a"], *valid])]
    try:
        corpus = cut(*raw, **options)
    except DataError as error:  # a word of valid, and nothing was cut
        assert "does not stand in train" in str(error)
        assert len(often) == len(counts)
        return
    written = build(text(train, often), text([["a"], *valid], often))
    assert corpus.form == written.form
    for split in SPLITS:
        np.testing.assert_array_equal(corpus.tokens[split], written.tokens[split])
    assert largest is None or len(corpus.vocabulary) <= largest


def test_a_cut_that_leaves_no_word_is_refused():
    with pytest.raises(DataError) as caught:
        cut("a b\n<unk>\n", minimum_count=2)
    assert str(caught.value) == (
        "minimum_count: no word of train.txt stands there so often; lower it"
    )
    assert cut("<unk>\n", valid="a\n", minimum_count=2).vocabulary.symbols == ["<unk>", "<eos>"]


@pytest.mark.parametrize("options", [{"minimum_count": 2}, {"largest_vocabulary": 9}])
def test_where_nothing_was_cut_no_word_stands_for_the_unknown(options):
    with pytest.raises(DataError, match=r"^valid\.txt, line 1: the word 'zebra' does not stand"):
        cut("a a\n", valid="zebra\n", **options)
    assert cut("a a\n", **options).facts["words_cut"] == 0


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
        "valid.txt, line 2: the word 'zebra' does not stand in train, and train has no <unk> to "
        "take its place; a higher minimum_count or a smaller largest_vocabulary makes the rare "
        "words of train <unk>"
    )


def test_train_without_line_end_is_refused():
    with pytest.raises(DataError, match=r"^train\.txt has no line end: put one sentence on each"):
        build("a b c", valid="a", test="a")


def write_files(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def read(folder):
    return from_folder(str(folder), WordOptions())


def test_texts_are_found_by_the_names_of_the_splits(tmp_path):
    write_files(
        tmp_path, **{"my.train": "a b\n", "my.valid": "b\n", "my.test": "a\n", "notes": "x"}
    )
    corpus = read(tmp_path)
    assert {split: ids.tolist() for split, ids in corpus.tokens.items()} == {
        **{"train": [0, 1, 2], "valid": [1, 2], "test": [0, 2]}
    }
    assert corpus.facts == {
        "source": str(tmp_path),
        "counts": {"train": 3, "valid": 2, "test": 2},
        "words": 3,
    }


def test_a_mark_of_an_editor_and_line_ends_of_windows_are_no_part_of_words(tmp_path):
    write_files(tmp_path, train="\ufeffa b\r\nc\r\n", valid="a\r\n", test="c\n")
    corpus = read(tmp_path)
    assert corpus.vocabulary.symbols == ["a", "b", "<eos>", "c"]
    windows = "line ends of Windows"
    assert corpus.facts["found"] == {
        "train": ["a byte order mark at the start", windows],
        "valid": [windows],
    }


def test_tabs_and_no_break_spaces_part_words_and_are_noted(tmp_path):
    write_files(tmp_path, train="a\tb\xa0c\n\td\n", valid="a\u202fb\n", test="\t\nb\u2007d\n")
    corpus = read(tmp_path)
    assert corpus.vocabulary.symbols == ["a", "b", "c", "<eos>", "d"]
    assert corpus.tokens["test"].tolist() == [1, 4, 3]
    assert corpus.facts["found"] == {
        "train": ["tabs", "no-break spaces"],
        "valid": ["no-break spaces"],
        "test": ["tabs", "no-break spaces"],
    }
    assert corpus.facts["blank_lines"] == {"train": 0, "valid": 0, "test": 1}


def test_facts_of_a_folder_stand_in_one_order(tmp_path):
    write_files(tmp_path, train="a\r\n\r\na b\r\n", valid="b\n", test="a\n")
    corpus = from_folder(str(tmp_path), WordOptions(minimum_count=2))
    assert list(corpus.facts) == [
        *("source", "found", "blank_lines", "counts", "words", "words_cut", "became_unknown")
    ]


def test_a_text_is_never_in_memory_as_a_whole(tmp_path):
    write_files(tmp_path, train="a b c d e f g h\n" * 20_000, valid="a\n", test="a\n")
    tracemalloc.start()
    try:
        corpus = read(tmp_path)
        _, preparing = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        save_corpus(corpus, tmp_path / "prepared")
        _, writing = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    tokens = corpus.facts["counts"]["train"]
    assert preparing < 6 * tokens  # an id has four bytes, a word in a list more than fifty
    assert writing < 11 * tokens  # what is written at once is copied, up to 16 MiB


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=rf"^{tmp_path / 'no'} is not a folder; it must hold train"):
        read(tmp_path / "no")


def test_missing_file_is_named(tmp_path):
    write_files(tmp_path, train="a\n", valid="a\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value) == f"{tmp_path}: expected one file like test.txt, found none"


def test_two_files_for_one_split_are_named(tmp_path):
    write_files(tmp_path, **{"train": "a\n", "train2": "a\n", "valid": "a\n", "test": "a\n"})
    with pytest.raises(DataError, match=r"like train\.txt, found train\.txt and train2\.txt$"):
        read(tmp_path)


def test_file_in_another_encoding_is_named_with_its_line(tmp_path):
    write_files(tmp_path, train="a\n", test="a\n")
    (tmp_path / "valid.txt").write_bytes(b"a\n\xe9t\xe9\n")
    with pytest.raises(DataError, match=r"valid\.txt, line 2: not UTF-8 \(byte 0xe9\)"):
        read(tmp_path)


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
