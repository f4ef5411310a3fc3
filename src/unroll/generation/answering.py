"""Answers of a sequence-to-sequence model: every source of a batch at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from unroll.config import PairsOptions
from unroll.data.pairs import BLANK, encode_lines
from unroll.data.vocabulary import Vocabulary
from unroll.generation.decoding import GREEDY, Decoded, decode
from unroll.generation.sampling import Sampling
from unroll.models import padding
from unroll.models.build import Model
from unroll.models.layers import State
from unroll.models.seq2seq import Seq2Seq
from unroll.record import Record

BATCH = 5_000  # sources decoded at once


def answer(
    model: Seq2Seq,
    sources: Tensor,
    start: int,
    length: int,
    sampling: Sampling = GREEDY,
    generator: torch.Generator | None = None,
) -> Decoded:
    """Return the answers (N, length) to sources (N, T).

    The decoder reads the symbol `start`, then at each step the symbol chosen at the step
    before: the most likely one, unless `sampling` says otherwise. It computes in the
    precision of the model's weights.
    """
    model.eval()
    parts = [
        _answer(model, batch, start, length, sampling, generator) for batch in sources.split(BATCH)
    ]
    return Decoded(
        torch.cat([part.symbols for part in parts]),
        torch.cat([part.log_probabilities for part in parts]),
    )


@torch.inference_mode()
def _answer(
    model: Seq2Seq,
    sources: Tensor,
    start: int,
    length: int,
    sampling: Sampling,
    generator: torch.Generator | None,
) -> Decoded:
    memory, state = model.encode(sources)

    def step(symbols: Tensor, state: State | None) -> tuple[Tensor, State]:
        assert state is not None
        return model.decode(symbols, state, memory)

    first = torch.full_like(sources[:, :1], start)
    return decode(step, first, state, length, sampling, generator)


def log_probability(decoded: Decoded, blank: int, padding_option: str) -> Tensor:
    """Return the log-probability (N,) of each whole answer, up to its end."""
    counts = padding.answered(decoded.symbols, blank, padding_option)
    return (decoded.log_probabilities.double() * counts).sum(dim=1)


def answer_texts(
    record: Record,
    model: Model,
    questions: Sequence[str],
    sampling: Sampling = GREEDY,
    generator: torch.Generator | None = None,
) -> list[tuple[str, float]]:
    """Return the answer to each question, with its log-probability (natural logarithm).

    Raises:
        DataError: a question is empty, too long, or has a symbol that the model lacks.
    """
    assert isinstance(model, Seq2Seq) and isinstance(record.options, PairsOptions)
    form, vocabulary, option = record.form, record.vocabulary, record.options.padding
    source = encode_lines(list(questions), form["source_length"], vocabulary, "the questions")
    start, length = vocabulary.ids[form["start"]], form["target_length"] - 1
    found = answer(model, torch.as_tensor(source), start, length, sampling, generator)
    texts = [answer_as_text(row, vocabulary, option) for row in found.symbols.tolist()]
    scores = log_probability(found, vocabulary.ids[BLANK], option).tolist()
    return list(zip(texts, scores, strict=True))


def answer_as_text(ids: Sequence[int], vocabulary: Vocabulary, padding_option: str) -> str:
    """Return an answer without what comes after its end."""
    kept = padding.answered(torch.tensor([ids]), vocabulary.ids[BLANK], padding_option).sum()
    return "".join(vocabulary.decode(ids[: int(kept)])).rstrip(BLANK)
