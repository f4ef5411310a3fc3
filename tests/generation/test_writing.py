import pytest
import torch

from models.toys import language_model
from unroll.data.corpus import EOS
from unroll.data.vocabulary import Vocabulary
from unroll.errors import UserError
from unroll.generation.sampling import Sampling, choose
from unroll.generation.writing import as_text, encode_prompt, skipped, write

PROMPT = torch.tensor([0, 3, 1])
WORDS = Vocabulary((EOS, "the", "king", "you", "said"))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def written(model, samples=3, length=12, seed=0, **options) -> torch.Tensor:
    return write(model, PROMPT, samples, length, Sampling(**options), generator(seed)).symbols


@pytest.mark.parametrize("options", [{"temperature": 0}, {"top_k": 4, "skip": (2,)}], ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_each_word_is_chosen_by_all_words_before_it(cell, options):
    model = language_model(cell=cell, layers=2).eval()
    random, texts = generator(), PROMPT.expand(3, -1)
    with torch.no_grad():
        for _ in range(12):  # the whole text is read again for every word
            logits = model(texts)[0][:, -1]
            chosen = choose(logits, Sampling(**options), random)
            texts = torch.cat([texts, chosen[:, None]], dim=1)
    assert torch.equal(written(model, **options), texts[:, len(PROMPT) :])


def test_the_seed_decides_and_samples_differ():
    model = language_model()
    one, same, other = (written(model, seed=seed) for seed in (1, 1, 2))
    assert one.shape == (3, 12)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert len(one.unique(dim=0)) == 3


def test_skipped_words_are_never_written():
    found = written(language_model(), samples=50, length=20, skip=(0, 2, 5))
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


def test_words_to_skip_may_be_unknown():
    assert skipped(["you", "<unk>", EOS], WORDS) == (0, 3)


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
    assert as_text("you the", words) == expected
