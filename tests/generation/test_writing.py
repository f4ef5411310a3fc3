import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.toys import array, corpus_form, few_examples, language_model, log_softmax
from unroll.data.corpus import EOS
from unroll.data.vocabulary import Vocabulary
from unroll.errors import UserError
from unroll.generation.sampling import Sampling, choose
from unroll.generation.writing import as_text, continuations, encode_prompt, piece, skipped
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
        ({"min_p": 0.9}, Sampling(min_p=0.9)),
        ({"repetition_penalty": 5.0}, Sampling(repetition_penalty=5.0, spared=(0,))),
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
            chosen = choose(logits, sampling, random, texts)
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


def test_a_penalty_brings_other_words_and_leaves_the_ends_of_sentences_alone():
    model = language_model(words=30).eval()
    with torch.no_grad():
        model.affine.bias[0] += 4.0  # most of what it writes
    options = Generate(prompts=[""], samples=20, length=20, repetition_penalty=10.0)
    form = corpus_form(30).vocabulary
    found = [one.words for one in continuations(model, form, "", options)]
    plain = options.model_copy(update={"repetition_penalty": 1.0})
    without = [one.words for one in continuations(model, form, "", plain)]

    def different(texts):
        return np.mean([len({w for w in t if w}) / max(1, sum(w > 0 for w in t)) for t in texts])

    assert different(found) > different(without)
    assert sum(words.count(0) for words in found) > 0.5 * 20 * 20


# A text goes on


def after(model, one, prompt="", **options):
    """Return what stands after a continuation, or after nothing."""
    asked = Generate(prompts=[prompt], **{"length": 4, **options})
    [found] = continuations(model, TOYS, prompt, asked, one and one.standing)
    return found


def same_states(one, other) -> bool:
    pairs = zip(one.standing.state, other.standing.state, strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


WAYS = [
    {"temperature": 0.0},
    {"temperature": 0.0, "repetition_penalty": 3.0},
    {"temperature": 1.0, "seed": 5},
    {"temperature": 2.0, "min_p": 0.5, "repetition_penalty": 2.0, "skip": ["w2"], "seed": 6},
    {"top_k": 3, "top_p": 0.9},
]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@few_examples
@given(
    prompt=st.sampled_from(["", "w3", PROMPT]),
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    way=st.sampled_from(WAYS),
)
def test_in_pieces_the_same_is_written_as_at_once_to_the_last_bit(cell, prompt, lengths, way):
    model = language_model(cell=cell, layers=2)
    whole = after(model, None, prompt, length=sum(lengths), **way)
    one, pieces = None, []
    for length in lengths:
        one = after(model, one, "" if pieces else prompt, length=length, **way)
        pieces.append(one)
    assert [word for piece in pieces for word in piece.words] == whole.words
    assert "".join(piece.text for piece in pieces) == whole.text
    assert same_states(one, whole)
    assert torch.equal(one.standing.known, whole.standing.known)
    assert torch.equal(one.standing.drawn, whole.standing.drawn)
    score = sum(piece.log_probability for piece in pieces)
    assert score == pytest.approx(whole.log_probability, rel=1e-12)


def test_words_that_are_given_in_between_are_read_behind_what_stands_there():
    model = language_model(layers=2)
    one = after(model, None, PROMPT, temperature=0.0)
    more = after(model, one, "w5 w6", temperature=0.0)
    assert more.prompt == [one.words[-1], 5, 6]
    texts = torch.tensor([[*IDS, *one.words, 5, 6, *more.words]])
    with torch.no_grad():
        logits, _ = model(texts[:, :-1])
        _, state = model(texts[:, :-1])
    read = logits[0, -len(more.words) :]
    assert read.argmax(dim=1).tolist() == more.words
    expected = read.log_softmax(dim=1).gather(1, torch.tensor(more.words)[:, None]).sum()
    assert more.log_probability == pytest.approx(float(expected), rel=1e-5)
    for found, whole in zip(more.standing.state, state, strict=True):
        torch.testing.assert_close(found, whole)
    assert set(more.standing.known.tolist()) == {*IDS[1:], *one.words, 5, 6, *more.words}
    joined = as_text(PROMPT, TOYS.decode([*one.words, 5, 6, *more.words]), TOYS)
    assert one.text + more.text == joined


def test_a_text_can_go_on_in_several_ways_from_where_it_stood():
    model = language_model()
    one = after(model, None, PROMPT, seed=1)
    ways = [after(model, one, length=12, seed=seed).words for seed in (1, 2, 3)]
    assert len({tuple(words) for words in ways}) == 3
    assert after(model, one, length=12, seed=2).words == ways[1]
    assert after(model, one, length=12, seed=1).words == ways[0]


def test_a_standing_does_not_grow_with_its_text():
    model = language_model()
    long = after(model, None, PROMPT, length=500).standing
    assert sorted(long.known.tolist()) == long.known.unique().tolist()
    assert len(long.known) <= len(TOYS)
    assert all(part.shape == (1, 1, 4) for part in long.state)


def test_samples_stand_each_where_it_stands():
    model = language_model()
    asked = Generate(prompts=[PROMPT], samples=3, length=6)
    for one in continuations(model, TOYS, PROMPT, asked):
        with torch.no_grad():
            logits, _ = model(torch.tensor([[*IDS, *one.words]]))
        expected = int(logits[0, -1].argmax())
        assert after(model, one, length=1, temperature=0.0).words == [expected]


def test_a_text_of_another_model_is_refused():
    one = after(language_model(), None)
    with pytest.raises(UserError, match="was written by another model"):
        after(language_model(), one)


@few_examples
@given(
    words=st.lists(st.sampled_from(WORDS.symbols), min_size=1, max_size=9),
    cuts=st.sets(st.integers(1, 8)),
    prompt=st.sampled_from(["", "the", "you said"]),
)
def test_pieces_that_are_joined_are_the_text(words, cuts, prompt):
    places = [0, *sorted(cut for cut in cuts if cut < len(words)), len(words)]
    pieces, behind = [], None
    for a, b in itertools.pairwise(places):
        pieces.append(piece(behind, "" if a else prompt, words[a:b], WORDS))
        behind = words[b - 1]
    assert "".join(pieces) == as_text(prompt, words, WORDS)


# A beam

FOUR = corpus_form(4).vocabulary  # <eos>, w1 to w3


def everything(model, prompt: list[int], length: int, penalty: float, skip, repetition: float):
    """Return all that can be written after a prompt, the best first.

    As (score, log-probability, words); a sentence that ends ends the text.
    """
    found = []
    for size in range(1, length + 1):
        for words in itertools.product(range(4), repeat=size):
            if 0 in words[:-1] or (size < length and words[-1] != 0) or set(words) & set(skip):
                continue
            with torch.no_grad():
                logits = model(torch.tensor([[*prompt, *words[:-1]]]))[0][0]
            rows = array(logits).astype(np.float64)[len(prompt) - 1 :]
            changed = rows.copy()
            for i in range(size):
                for word in {*prompt, *words[:i]} - {0}:
                    x = changed[i, word]
                    changed[i, word] = x / repetition if x > 0 else x * repetition
            ranked, likely = (log_softmax(of)[range(size), words].sum() for of in (changed, rows))
            found.append((ranked / ((5 + size) / 6) ** penalty, likely, list(words)))
    return sorted(found, reverse=True)


@settings(max_examples=8)
@given(
    seed=st.integers(0, 10**6),
    prompt=st.sampled_from(["", "w1", "w3 w2 w3"]),
    penalty=st.sampled_from([0.0, 1.0]),
    skip=st.sampled_from([[], ["w2"], ["<eos>"]]),
    repetition=st.sampled_from([1.0, 2.0]),
)
def test_the_best_of_a_beam_that_holds_everything_are_the_best_of_everything(
    seed, prompt, penalty, skip, repetition
):
    model = language_model(words=4, seed=seed).eval()
    with torch.no_grad():
        model.affine.weight.mul_(4)
    asked = Generate(
        prompts=[prompt], samples=5, length=3, temperature=0.0, beam_width=100,
        length_penalty=penalty, skip=skip, repetition_penalty=repetition,
    )  # fmt: skip
    found = continuations(model, FOUR, prompt, asked)
    ids = encode_prompt(prompt, FOUR)
    every = everything(model, ids, 3, penalty, skipped(skip, FOUR), repetition)[:5]
    assert [one.words for one in found] == [words for _, _, words in every]
    scores = [likely for _, likely, _ in every]
    assert [one.log_probability for one in found] == pytest.approx(scores, rel=1e-4)
    for one in found:
        assert one.text == as_text(prompt, FOUR.decode(one.words), FOUR)
        with torch.no_grad():
            _, state = model(torch.tensor([[*ids, *one.words[:-1]]]))
        for part, whole in zip(one.standing.state, state, strict=True):
            torch.testing.assert_close(part, whole)


def test_a_beam_of_one_is_greedy():
    model = language_model()
    asked = Generate(prompts=[PROMPT], length=9, temperature=0.0, length_penalty=2.0)
    [one] = continuations(model, TOYS, PROMPT, asked.model_copy(update={"beam_width": 1}))
    [same] = continuations(model, TOYS, PROMPT, Generate(prompts=[""], length=9, temperature=0.0))
    assert (one.words, one.log_probability) == (same.words, same.log_probability)


def test_fewer_are_found_where_there_are_no_more():
    asked = Generate(
        prompts=[""], samples=9, length=1, temperature=0.0, beam_width=9, skip=["w1", "w2"]
    )
    found = continuations(language_model(words=4), FOUR, "", asked)
    assert sorted(one.words for one in found) == [[0], [3]]


def test_a_beam_goes_on_from_where_a_text_stands():
    """As if all that stands there were its prompt, and whatever it was written by."""
    model = language_model(layers=2)
    with torch.no_grad():
        model.affine.weight.mul_(6)
    search = {"temperature": 0.0, "beam_width": 3, "length": 5, "repetition_penalty": 1.5}
    one = after(model, None, PROMPT, seed=3, skip=[EOS])
    more, other = after(model, one, **search), after(model, None, one.text, **search)
    assert more.words == other.words
    assert one.text + more.text == other.text
    assert more.log_probability == pytest.approx(other.log_probability, rel=1e-5)
    again = after(model, more, "w1", temperature=0.0)
    assert again.prompt == [more.words[-1], 1]
