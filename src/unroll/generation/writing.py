"""Continuations of a language model: many samples at once."""

import difflib
from dataclasses import dataclass

import torch

from unroll.data.vocabulary import Vocabulary
from unroll.errors import UserError
from unroll.generation.decoding import decode
from unroll.generation.sampling import Sampling
from unroll.models.language_model import LanguageModel
from unroll.options import Generate
from unroll.seeds import torch_generator


@dataclass(frozen=True)
class Continuation:
    """What a model wrote after a prompt."""

    text: str  # prompt and continuation
    prompt: list[int]  # ids, the end of a sentence before them
    words: list[int]  # ids of what was written
    log_probability: float  # of all that was written, natural logarithm


def continuations(
    model: LanguageModel, vocabulary: Vocabulary, prompt: str, options: Generate
) -> list[Continuation]:
    """Return `options.samples` continuations of a prompt.

    Raises:
        UserError: the model does not know a word of the prompt, or may write none.
    """
    ids = encode_prompt(prompt, vocabulary)
    skip = skipped(options.skip, vocabulary)
    sampling = Sampling(options.temperature, options.top_k, options.top_p, skip)
    first = torch.tensor(ids).expand(options.samples, -1)
    generator = torch_generator(options.seed, "generate", prompt)
    model.eval()
    written = decode(model, first, None, options.length, sampling, generator)
    scores = written.log_probabilities.double().sum(dim=1).tolist()
    return [
        Continuation(as_text(prompt, vocabulary.decode(words), vocabulary), ids, words, score)
        for words, score in zip(written.symbols.tolist(), scores, strict=True)
    ]


def encode_prompt(prompt: str, vocabulary: Vocabulary) -> list[int]:
    """Return the ids of a prompt's words, with the end of a sentence before them.

    Raises:
        UserError: a word is not in the vocabulary.
    """
    words = vocabulary.split(prompt)
    for word in words:
        if word not in vocabulary.ids:
            near = difflib.get_close_matches(word.lower(), vocabulary.symbols, n=3)
            hint = f"; near it are {', '.join(near)}" if near else ""
            raise UserError(f"the model does not know the word {word!r}{hint}")
    return [vocabulary["end"], *(vocabulary.ids[word] for word in words)]


def skipped(words: list[str], vocabulary: Vocabulary) -> tuple[int, ...]:
    """Return the ids of the words that must not be written; unknown ones are no matter.

    Raises:
        UserError: no word is left to be written.
    """
    ids = {vocabulary.ids[word] for word in words if word in vocabulary.ids}
    if len(ids) == len(vocabulary):
        raise UserError("skip holds every word of the vocabulary: none is left to be written")
    return tuple(sorted(ids))


def as_text(prompt: str, words: list[str], vocabulary: Vocabulary) -> str:
    """Join prompt and words; what ends a sentence becomes a full stop and a new line."""
    text = " ".join([*vocabulary.split(prompt), *words])
    sentences = [sentence.strip() for sentence in text.split(vocabulary.special["end"])]
    return ".\n".join(sentences).rstrip("\n")
