"""BLEU, chrF and the perplexity of references."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from models.toys import seq2seq
from unroll.data.pairs import from_texts, from_translations
from unroll.evaluation.accuracy import accuracy
from unroll.evaluation.texts import MEASURES, rarest, reference_losses, score_all, score_texts
from unroll.seeds import numpy_generator

WORDS = ["the", "a", "cat", "dog", "sees", "hears", "and", ",", ".", "big"]
OFFICIAL = {"bleu": BLEU, "chrf": CHRF}


@pytest.fixture(scope="module")
def corpus():
    """Return 300 answers, a third of whose words are wrong, and one or two references of each."""
    random = numpy_generator(0, "texts")
    answered, references = [], []
    for _ in range(300):
        words = random.choice(WORDS, random.integers(4, 15))
        other = np.where(random.random(len(words)) < 0.3, random.choice(WORDS, len(words)), words)
        answered.append(" ".join(other))
        references.append([" ".join(words), *([" ".join(words[::-1])] * random.integers(2))])
    return answered, references


def official(name, answered, references):
    columns = [[of[i] if i < len(of) else None for of in references] for i in range(2)]
    return OFFICIAL[name]().corpus_score(answered, columns).score


@pytest.mark.parametrize("name", MEASURES)
def test_the_mean_of_the_influences_is_the_score_of_the_whole(name, corpus):
    item, signature = score_texts(name, *corpus)
    assert item.values.mean() == pytest.approx(official(name, *corpus))
    assert item.weights is None and len(item.values) == 300
    assert signature.startswith("nrefs:var|") and "version:" in signature


@pytest.mark.parametrize("name", MEASURES)
def test_their_spread_is_that_of_the_score_when_sentences_are_drawn_again(name, corpus):
    answered, references = (np.array(of, dtype=object) for of in corpus)
    item, _ = score_texts(name, *corpus)
    random = numpy_generator(1, "texts")
    drawn = [random.integers(300, size=300) for _ in range(200)]
    again = [official(name, answered[rows].tolist(), references[rows].tolist()) for rows in drawn]
    assert item.values.std(ddof=1) / np.sqrt(300) == pytest.approx(np.std(again), rel=0.15)


def test_an_unknown_word_is_one_wrong_word():
    """BLEU's tokenizer makes three of `<unk>`, so that a longer answer has more wrong n-grams."""
    rows = [("a b", "the cat sees a dog"), ("c d", "the cat sees a bird")]
    splits = dict.fromkeys(("train", "valid", "test"), rows)
    data = from_translations(splits, ("token", "token"), {})
    model = seq2seq(form=data.form, padding="masked")
    found = accuracy(model, data, "test", "masked", "cpu")
    bleu = {}
    for word in ("<unk>", "elsewhere"):
        said = replace(found, texts=[f"the cat sees a {word}"] * 2)
        bleu[word] = score_all(model, data, "test", "masked", "cpu", said).values["bleu"]
    assert bleu["<unk>"] == pytest.approx(bleu["elsewhere"])
    cut, _ = score_texts("bleu", ["the cat sees a <unk>"] * 2, data.references("test"))
    assert cut.values.mean() < bleu["<unk>"] - 5


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize(
    ("answered", "score"), [(["a cat sees the big dog ."], 100), (["xyz"], 0), ([""], 0)]
)
def test_one_answer_has_the_score_of_the_whole(name, answered, score):
    item, _ = score_texts(name, answered, [["a cat sees the big dog ."]])
    assert item.values.tolist() == pytest.approx([score])


@pytest.mark.parametrize("padding", ["plain", "masked"])
def test_losses_of_references_are_those_of_one_sequence_at_a_time(padding):
    rows = [("ab", "x"), ("abcab", "xyzzy"), ("c", "yx"), ("cabba", "zz")]
    pairs = from_texts({"train": rows, "valid": rows, "test": rows})
    model = seq2seq(form=pairs.form, padding=padding).double()
    losses, counts = reference_losses(model, pairs, "test", padding, "cpu")
    for i in range(len(rows)):
        source, target = (of["test"].part(slice(i, i + 1)) for of in (pairs.sources, pairs.targets))
        n = int(target.lengths[0]) if padding == "masked" else target.width
        read = torch.tensor(source.lengths.astype(int)) if padding == "masked" else None
        width = int(source.lengths[0]) if padding == "masked" else source.width
        ids = torch.tensor(target.ids[:, :n].astype(int))
        with torch.inference_mode():
            logits = model(torch.tensor(source.ids[:, :width].astype(int)), ids[:, :-1], read)
        expected = -logits.log_softmax(dim=2).gather(2, ids[:, 1:, None]).sum()
        assert counts[i] == n - 1
        assert losses[i] == pytest.approx(float(expected), rel=1e-9)


def test_the_rarest_symbol_of_a_question_is_counted_in_the_questions_of_train():
    train = [("a a b", "x"), ("b c c c", "x"), ("a d", "x")]
    test = [("a b", "x"), ("d", "x"), ("e c", "x"), ("c", "x"), ("a", "x")]
    found = rarest(from_texts({"train": train, "valid": train, "test": test}, ("word", "word")))
    labels = [found.labels[code] for code in found.codes]
    assert labels == ["2–4", "1", "0", "2–4", "2–4"]  # b twice, d once, e never, c and a 3 times


def test_a_word_that_was_too_rare_to_be_known_counts_as_never_seen():
    train = [("a b", "x"), ("a b", "x"), ("a d", "x")]
    splits = dict.fromkeys(("train", "valid", "test"), train)
    found = rarest(from_texts(splits, ("word", "word"), minimum_count=2))
    assert [found.labels[code] for code in found.codes] == ["2–4", "2–4", "0"]
