"""Continuations of a language model: many samples at once, or the best that a beam finds.

A text goes on where it stood: a `Standing` holds what that takes, and no more for a long text than
for a short one. From the same seed the same words come in pieces as at once, bit for bit, whether
they are drawn or the likeliest: one sample at a time, as several share the numbers that are drawn.
Words that are given in between are read; the state behind them is that of the whole text to
rounding. A beam ends with its piece: of what it finds in two pieces nothing is promised.
"""

import difflib
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from unroll.data.vocabulary import Vocabulary
from unroll.errors import UserError
from unroll.generation.beam import beam_search
from unroll.generation.decoding import decode
from unroll.generation.sampling import Sampling
from unroll.models.language_model import LanguageModel
from unroll.models.layers import State, at_least_float32
from unroll.options import Generate
from unroll.seeds import torch_generator


@dataclass(frozen=True)
class Standing:
    """Where a text stands."""

    model: LanguageModel
    last: int  # the id of the last word, which has not been read yet
    state: State | None  # before it, its parts (layers, 1, H); None: nothing has been read
    known: Tensor  # (S,): ids of the words that stand in the text, each once
    seed: int | None = None  # None: nothing has been drawn
    drawn: Tensor | None = None  # the state of the generator of this seed


@dataclass(frozen=True)
class Continuation:
    """What a model wrote after a prompt, or after another continuation."""

    # Prompt and continuation; texts that go on one from another make, joined, the whole one.
    text: str
    prompt: list[int]  # ids, before them the word behind which they stand: an end of a sentence
    words: list[int]  # ids of what was written
    log_probability: float  # of all that was written, natural logarithm
    standing: Standing = field(repr=False, compare=False)


class _Found(NamedTuple):
    words: list[int]
    log_probability: float
    state: State  # before the last word


@torch.inference_mode()
def continuations(
    model: LanguageModel,
    vocabulary: Vocabulary,
    prompt: str,
    options: Generate,
    after: Standing | None = None,
) -> list[Continuation]:
    """Return `options.samples` continuations of a prompt, which may stand `after` another text.

    Where a beam is wider than 1 they are the best that it finds, the best first: fewer, where there
    are not so many. Such a text ends with the sentence, as an answer does: else nothing would weigh
    long ones against short ones. Numbers are drawn on from where `after` stands if its seed is
    that of the options; another seed begins anew.

    Raises:
        UserError: the model does not know a word of the prompt, or may write none; or `after` was
            written by another model.
    """
    before = after or _nothing(model, vocabulary)
    if before.model is not model:
        raise UserError("what it goes on from was written by another model: ask that one")
    _, *read = encode_prompt(prompt, vocabulary)
    ids = [before.last, *read]
    sampling = sampling_of(options, vocabulary)
    generator = torch_generator(options.seed, "generate", prompt)
    if before.drawn is not None and before.seed == options.seed:
        generator.set_state(before.drawn)
    model.eval()
    if options.beam_width > 1:
        every = _searched(before, ids, options, sampling, vocabulary["end"])
    else:
        every = _chosen(before, ids, options, sampling, generator)
    behind = None if after is None else vocabulary.symbols[after.last]
    found = []
    for words, score, state in every:
        text = piece(behind, prompt, vocabulary.decode(words), vocabulary)
        known = torch.cat([before.known, torch.tensor([*read, *words])]).unique()
        standing = Standing(model, words[-1], state, known, options.seed, generator.get_state())
        found.append(Continuation(text, ids, words, score, standing))
    return found


def _nothing(model: LanguageModel, vocabulary: Vocabulary) -> Standing:
    """Return where a text stands that has no word yet: before it a sentence has ended."""
    return Standing(model, vocabulary["end"], None, torch.tensor([], dtype=torch.long))


def sampling_of(options: Generate, vocabulary: Vocabulary) -> Sampling:
    """Return how each word is chosen.

    Raises:
        UserError: no word is left to be written.
    """
    return Sampling(
        options.temperature,
        options.top_k,
        options.top_p,
        skipped(options.skip, vocabulary),
        options.min_p,
        options.repetition_penalty,
        spared=(vocabulary["end"],),
    )


def _chosen(
    before: Standing,
    ids: list[int],
    options: Generate,
    sampling: Sampling,
    generator: torch.Generator,
) -> list[_Found]:
    """Return what comes where each word is chosen before the next one is thought of."""
    N = options.samples
    written = decode(
        before.model,
        torch.tensor(ids).expand(N, -1),
        _repeated(before.state, N),
        options.length,
        sampling,
        generator,
        history=before.known.expand(N, -1),
    )
    assert written.state is not None
    scores = written.log_probabilities.double().sum(dim=1).tolist()
    return [
        _Found(words, scores[n], tuple(part[:, n : n + 1].clone() for part in written.state))
        for n, words in enumerate(written.symbols.tolist())
    ]


def _searched(
    before: Standing, ids: list[int], options: Generate, sampling: Sampling, end: int
) -> list[_Found]:
    """Return the best that a beam finds; each is read once more, for its state and its score."""
    model, state = before.model, before.state
    if len(ids) > 1:  # once, not once for each way
        _, state = model.features(torch.tensor([ids[:-1]]), state)
    K = options.beam_width
    searched = beam_search(
        model,
        torch.tensor([ids[-1:]]),
        _repeated(state, K),
        options.length,
        K,
        options.length_penalty,
        end,
        pad=end,
        sampling=sampling,
        history=torch.cat([before.known, torch.tensor(ids[:-1], dtype=torch.long)])[None],
    )
    found: list[_Found] = []
    for words, score in zip(searched.symbols[0].tolist(), searched.scores[0], strict=True):
        if score > -torch.inf and len(found) < options.samples:
            words = words[: words.index(end) + 1] if end in words else words
            logits, after = model(torch.tensor([[ids[-1], *words[:-1]]]), state)
            logs = at_least_float32(logits[0]).log_softmax(dim=1)
            logs = logs.gather(1, torch.tensor(words)[:, None])
            found.append(_Found(words, float(logs.double().sum()), after))
    return found


def _repeated(state: State | None, count: int) -> State | None:
    """Return the state of one text as that of so many."""
    return None if state is None else tuple(p.repeat_interleave(count, dim=1) for p in state)


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


def piece(behind: str | None, prompt: str, words: list[str], vocabulary: Vocabulary) -> str:
    """Return the text of prompt and words as it stands behind a word (None: at the beginning).

    Pieces that are joined are the text of the whole.
    """
    if behind is None:
        return as_text(prompt, words, vocabulary)
    whole = as_text(behind, [*vocabulary.split(prompt), *words], vocabulary)
    return whole.removeprefix(as_text(behind, [], vocabulary))
