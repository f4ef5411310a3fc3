"""Answers of a sequence-to-sequence model: every source of a batch at once."""

import torch
from torch import Tensor

from unroll.data.pairs import BLANK, encode_lines
from unroll.models.build import Model
from unroll.models.seq2seq import Seq2Seq
from unroll.record import Record

BATCH = 5_000  # sources decoded at once


@torch.inference_mode()
def answer(model: Seq2Seq, sources: Tensor, start: int, length: int) -> Tensor:
    """Return the greedy answers (N, length) to sources (N, T).

    The decoder reads the symbol `start`, then at each step the symbol it found most
    likely at the step before. It computes in the precision of the model's weights.
    """
    model.eval()
    return torch.cat([_answer(model, batch, start, length) for batch in sources.split(BATCH)])


def _answer(model: Seq2Seq, sources: Tensor, start: int, length: int) -> Tensor:
    memory, state = model.encode(sources)
    symbols = torch.full_like(sources[:, :1], start)
    answers = []
    for _ in range(length):
        logits, state = model.decode(symbols, state, memory)
        symbols = logits.argmax(dim=-1)
        answers.append(symbols)
    return torch.cat(answers, dim=1)


def answer_text(record: Record, model: Model, question: str) -> str:
    """Return the answer to one question, without the blanks at its end.

    Raises:
        DataError: the question is empty, too long, or has a symbol that the model lacks.
    """
    assert isinstance(model, Seq2Seq)
    form, vocabulary = record.form, record.vocabulary
    source = encode_lines([question], form["source_length"], vocabulary, "the question")
    ids = answer(
        model,
        torch.as_tensor(source),
        vocabulary.ids[form["start"]],
        form["target_length"] - 1,
    )
    text = "".join(vocabulary.decode(ids[0].tolist()))
    if record.options.padding == "masked":  # type: ignore[attr-defined]
        return text.split(BLANK)[0]  # what comes after the end was never trained
    return text.rstrip(BLANK)
