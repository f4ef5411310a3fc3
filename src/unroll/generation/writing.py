"""Continuations of a language model: many samples at once."""

import difflib

import torch
from torch import Tensor

from unroll.data.corpus import EOS
from unroll.data.vocabulary import Vocabulary
from unroll.errors import UserError
from unroll.generation.decoding import Decoded, decode
from unroll.generation.sampling import Sampling
from unroll.models.language_model import LanguageModel


def write(
    model: LanguageModel,
    prompt: Tensor,
    samples: int,
    length: int,
    sampling: Sampling,
    generator: torch.Generator,
) -> Decoded:
    """Return `samples` continuations (samples, length) of a prompt (T,), T ≥ 1."""
    model.eval()
    return decode(model, prompt.expand(samples, -1), None, length, sampling, generator)


def encode_prompt(prompt: str, vocabulary: Vocabulary) -> list[int]:
    """Return the ids of a prompt's words, with the end of a sentence before them.

    Raises:
        UserError: a word is not in the vocabulary.
    """
    for word in prompt.split():
        if word not in vocabulary.ids:
            near = difflib.get_close_matches(word.lower(), vocabulary.symbols, n=3)
            hint = f"; near it are {', '.join(near)}" if near else ""
            raise UserError(f"the model does not know the word {word!r}{hint}")
    return [vocabulary.ids[EOS], *(vocabulary.ids[word] for word in prompt.split())]


def skipped(words: list[str], vocabulary: Vocabulary) -> tuple[int, ...]:
    """Return the ids of the words that must not be written; unknown ones are no matter.

    Raises:
        UserError: no word is left to be written.
    """
    ids = {vocabulary.ids[word] for word in words if word in vocabulary.ids}
    if len(ids) == len(vocabulary):
        raise UserError("skip holds every word of the vocabulary: none is left to be written")
    return tuple(sorted(ids))


def as_text(prompt: str, words: list[str]) -> str:
    """Join prompt and words; `<eos>` ends a sentence with a full stop and a new line."""
    text = " ".join([*prompt.split(), *words])
    sentences = [sentence.strip() for sentence in text.split(EOS)]
    return ".\n".join(sentences).rstrip("\n")
