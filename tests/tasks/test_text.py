import hashlib
import math

import pytest
from pydantic import ValidationError

from unroll.data import grammar, ptb
from unroll.data.sequences import SPLITS
from unroll.errors import DataError
from unroll.options import resolved
from unroll.tasks.text import Text, TextOptions


def text(source, **options):
    return Text(TextOptions(kind="text", source=source, **options))


def as_text(corpus, split):
    words = corpus.vocabulary.decode(corpus.tokens[split].tolist())
    return " ".join(words).replace(" <eos>", "\n").replace("\n ", "\n")


def test_grammar_gives_as_many_sentences_as_asked_for_and_a_tenth_for_the_others():
    corpus = text("grammar", sentences=500).prepare()
    ends = {split: int((corpus.tokens[split] == corpus.eos).sum()) for split in SPLITS}
    assert ends == {"train": 500, "valid": 50, "test": 50}
    assert corpus.facts["counts"] == {split: len(corpus.tokens[split]) for split in SPLITS}


def test_grammar_gives_the_sentences_that_it_draws():
    corpus = text("grammar", sentences=500, seed=7).prepare()
    for split, size in (("train", 500), ("valid", 50), ("test", 50)):
        assert as_text(corpus, split) == grammar.draw(size, 7, split)[0]


def test_grammar_tells_the_perplexity_that_no_model_can_beat():
    facts = text("grammar", sentences=500, seed=7).prepare().facts
    for split, size in (("train", 500), ("valid", 50), ("test", 50)):
        _, log_probability = grammar.draw(size, 7, split)
        floor = math.exp(-log_probability / facts["counts"][split])
        assert facts["perplexity_floor"][split] == pytest.approx(floor)
    assert facts["entropy_rate"] == grammar.entropy_rate()
    assert facts["perplexity_floor"]["train"] == pytest.approx(
        math.exp(grammar.entropy_rate()), rel=0.05
    )


def test_another_seed_gives_another_text():
    first, again, other = (text("grammar", sentences=300, seed=s).prepare() for s in (1, 1, 2))
    assert as_text(first, "train") == as_text(again, "train")
    assert as_text(first, "train") != as_text(other, "train")


def test_grammar_is_asked_for_three_hundred_sentences_or_more():
    assert text("grammar", sentences=300).options.sentences == 300
    with pytest.raises(ValidationError, match=r"sentences\n.*greater than or equal to 300"):
        text("grammar", sentences=299)


def write(folder, **texts):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def test_folder_of_texts_is_read(tmp_path):
    write(tmp_path, train="a b <unk>\n", valid="b c\n", test="b a\n")
    corpus = text(str(tmp_path)).prepare()
    assert corpus.vocabulary.symbols == ["a", "b", "<unk>", "<eos>"]
    assert corpus.tokens["valid"].tolist() == [1, 2, 3]
    assert corpus.facts["source"] == str(tmp_path)


def test_missing_folder_is_named(tmp_path):
    path = tmp_path / "no"
    with pytest.raises(DataError) as caught:
        text(str(path)).prepare()
    assert str(caught.value) == (f"source: {path} is no folder; name one, or choose: ptb, grammar")


def test_fault_in_a_file_of_the_folder_is_named_with_its_line(tmp_path):
    write(tmp_path, train="a\n", valid="a\n\nb\n", test="a\n")
    with pytest.raises(DataError, match=rf"^{tmp_path / 'valid.txt'}, line 3: the word 'b'"):
        text(str(tmp_path)).prepare()


def test_how_a_file_was_found_stands_in_the_facts(tmp_path):
    write(tmp_path, train="\ufeffa\n\na\n", valid="a\n", test="a\n")
    facts = text(str(tmp_path)).prepare().facts
    assert facts["found"] == {"train": ["a byte order mark at the start"]}
    assert facts["blank_lines"] == {"train": 1, "valid": 0, "test": 0}


def test_words_of_a_folder_are_cut_as_the_options_say(tmp_path):
    write(tmp_path, train="The cat\nthe dog\nTHE cat\n", valid="a cat\n", test="the\n")
    options = {"lower_case": True, "minimum_count": 2, "largest_vocabulary": 3}
    corpus = text(str(tmp_path), **options).prepare()
    assert corpus.vocabulary.symbols == ["the", "<unk>", "<eos>"]
    assert corpus.facts["became_unknown"] == {"train": 3, "valid": 2, "test": 0}


@pytest.mark.parametrize("source", ["ptb", "grammar", "texts"])
def test_an_option_is_taken_where_it_does_nothing_as_it_is(source):
    said = {"ptb_folder": None, "sentences": 5_000, "seed": 1984}
    cut = {"lower_case": False, "minimum_count": 1, "largest_vocabulary": None}
    assert text(source, **said, **cut).options == text(source).options


CUTS = {"lower_case": True, "minimum_count": 2, "largest_vocabulary": 100}


@pytest.mark.parametrize(
    ("source", "given", "told"),
    [
        *(
            (s, {name: CUTS[name]}, f"{name}: only of a folder")
            for s in ("ptb", "grammar")
            for name in CUTS
        ),
        ("ptb", CUTS, "lower_case, minimum_count, largest_vocabulary: only of a folder"),
        ("grammar", {"ptb_folder": "a"}, "ptb_folder: only of ptb"),
        ("texts", {"ptb_folder": "a"}, "ptb_folder: only of ptb"),
        ("ptb", {"sentences": 300}, "sentences: only of grammar"),
        ("texts", {"sentences": 300, "seed": 1}, "sentences, seed: only of grammar"),
    ],
)
def test_an_option_that_does_nothing_with_its_source_is_refused_by_name(source, given, told):
    with pytest.raises(ValidationError, match=rf"{told}; leave it out"):
        text(source, **given)


@pytest.mark.parametrize(
    "given", [{"minimum_count": 0}, {"largest_vocabulary": 2}, {"lower_case": "yes"}], ids=str
)
def test_a_cut_that_cannot_be_is_refused(given):
    with pytest.raises(ValidationError, match=next(iter(given))):
        text("texts", **given)


def test_options_that_do_nothing_are_in_no_record():
    """So a record, and a run of an earlier version, are the same with them and without."""
    assert list(resolved(text("ptb").options)) == [*TextOptions.model_fields][3:]
    kept = resolved(text("texts", minimum_count=3).options)
    assert TextOptions.model_validate(kept) == text("texts", minimum_count=3).options


def test_treebank_is_taken_from_the_named_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = {"train": "a b <unk>\n", "valid": "b\n", "test": "a\n"}
    tokens = {"train": 4, "valid": 2, "test": 2}
    facts = {
        split: (len(text), hashlib.sha256(text.encode()).hexdigest(), tokens[split])
        for split, text in texts.items()
    }
    monkeypatch.setattr(ptb, "FACTS", facts)
    monkeypatch.setattr(ptb, "WORDS", 4)
    write(tmp_path / "mine", **{f"ptb.{split}": text for split, text in texts.items()})
    corpus = text("ptb", ptb_folder="mine").prepare()
    assert {split: as_text(corpus, split) for split in SPLITS} == texts
    assert corpus.facts == {"source": "ptb", "counts": tokens, "words": 4}
