import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.toys import array, corpus_form, few_examples, language_model, log_softmax
from unroll.data.corpus import EOS
from unroll.data.vocabulary import Vocabulary
from unroll.errors import UserError
from unroll.generation.sampling import Sampling, choose
from unroll.generation.writing import as_text, continuations, encode_prompt, skipped
from unroll.options import Generate
from unroll.seeds import torch_generator

TOYS = corpus_form().vocabulary  # <eos>, w1 to w6
PROMPT, IDS = "w3 w1", [0, 3, 1]
WORDS = Vocabulary((EOS, "the", "king", "you", "said"), special={"end": EOS}, unit="word")


def written(model, samples=3, length=12, prompt=PROMPT, **options) -> torch.Tensor:
    asked = Generate(prompts=[prompt], samples=samples, length=length, **options)
    found = continuations(model, TOYS, prompt, asked)
    return torch.tensor([one.words for one in found])


@pytest.mark.parametrize(
    ("options", "sampling"),
    [
        ({"temperature": 0.0}, Sampling(temperature=0)),
        ({"top_k": 4, "skip": ["w2"]}, Sampling(top_k=4, skip=(2,))),
        ({"top_p": 0.6, "temperature": 2.0}, Sampling(2.0, top_p=0.6)),
    ],
    ids=str,
)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_each_word_is_chosen_by_all_words_before_it(cell, options, sampling):
    model = language_model(cell=cell, layers=2).eval()
    random, texts = torch_generator(7, "generate", PROMPT), torch.tensor(IDS).expand(3, -1)
    with torch.no_grad():
        for _ in range(12):  # the whole text is read again for every word
            logits = model(texts)[0][:, -1]
            chosen = choose(logits, sampling, random)
            texts = torch.cat([texts, chosen[:, None]], dim=1)
    assert torch.equal(written(model, seed=7, **options), texts[:, len(IDS) :])


def test_a_continuation_tells_its_text_its_ids_and_its_log_probability():
    model = language_model(layers=2).eval()
    asked = Generate(prompts=[PROMPT], samples=2, length=6, temperature=3.0, top_k=5)
    for one in continuations(model, TOYS, PROMPT, asked):
        assert one.prompt == IDS
        assert one.text == as_text(PROMPT, TOYS.decode(one.words), TOYS)
        ids = torch.tensor([[*IDS, *one.words]])
        logits = array(model(ids[:, :-1])[0])[0, len(IDS) - 1 :].astype(np.float64)
        expected = log_softmax(logits)[np.arange(6), one.words].sum()  # before temperature
        assert one.log_probability == pytest.approx(expected, rel=1e-5)


def test_the_seed_and_the_prompt_decide_and_samples_differ():
    model = language_model()
    one, same, other = (written(model, seed=seed) for seed in (1, 1, 2))
    assert one.shape == (3, 12)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert len(one.unique(dim=0)) == 3
    assert not torch.equal(one, written(model, seed=1, prompt="w3 w2"))


def test_skipped_words_are_never_written():
    found = written(language_model(), samples=50, length=20, skip=[EOS, "w2", "w5"])
    assert set(found.unique().tolist()) == {1, 3, 4, 6}


def test_dropout_is_off_while_writing():
    model = language_model(dropout=0.5)
    expected = written(model.eval())
    assert torch.equal(written(model.train()), expected)


def test_a_prompt_begins_after_the_end_of_a_sentence():
    assert encode_prompt("you  said the", WORDS) == [0, 3, 4, 1]
    assert encode_prompt("", WORDS) == [0]


def test_an_unknown_word_is_refused_with_its_neighbours():
    with pytest.raises(UserError, match=r"'Kin'.*near it are king"):
        encode_prompt("the Kin said", WORDS)
    with pytest.raises(UserError, match=r"does not know the word 'zzz'$"):
        encode_prompt("zzz", WORDS)
    with pytest.raises(UserError, match=r"does not know the word 'zzz'$"):
        written(language_model(), prompt="w1 zzz")


def test_words_to_skip_may_be_unknown():
    assert skipped(["you", "<unk>", EOS], WORDS) == (0, 3)


def test_one_word_must_be_left_to_be_written():
    assert skipped(list(WORDS.symbols[1:]), WORDS) == (1, 2, 3, 4)
    with pytest.raises(UserError, match="skip holds every word of the vocabulary"):
        skipped([*WORDS.symbols, "<unk>"], WORDS)


@few_examples
@given(skip=st.sets(st.sampled_from(TOYS.symbols), max_size=6), seed=st.integers(0, 50))
def test_what_is_written_is_never_impossible(skip, seed):
    asked = Generate(prompts=[""], samples=2, length=5, skip=sorted(skip), seed=seed)
    for one in continuations(language_model(), TOYS, "", asked):
        assert math.isfinite(one.log_probability) and one.log_probability < 0
        assert not skip & set(TOYS.decode(one.words))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["king", "said"], "you the king said"),
        (["king", EOS, "you"], "you the king.\nyou"),
        (["king", EOS], "you the king."),
        ([], "you the"),
    ],
)
def test_text_ends_its_sentences_with_full_stops(words, expected):
    assert as_text("you  the", words, WORDS) == expected
