"""Answers of a sequence-to-sequence model: many sources at once."""

import torch
from torch import Tensor

from unroll.data.batches import rows_at_once
from unroll.data.pairs import PairsForm
from unroll.data.sequences import Sequences
from unroll.generation.decoding import GREEDY, Written, decode
from unroll.generation.sampling import Sampling
from unroll.models.layers import State
from unroll.models.padding import PADDINGS, Padding
from unroll.models.seq2seq import Seq2Seq
from unroll.models.side import Side


def answer(
    model: Seq2Seq,
    sources: Sequences,
    form: PairsForm,
    padding: str,
    device: str = "cpu",
    sampling: Sampling = GREEDY,
    generator: torch.Generator | None = None,
) -> Written:
    """Return the answers (N, T') to sources, on the CPU; T' is what fits in a target.

    The decoder reads the start symbol, then at each step the symbol chosen at the step
    before: the most likely one, unless `sampling` says otherwise. It computes in the
    precision of the model's weights. Sources of like length are answered together.
    """
    model.eval()
    side, length = Side(sources, PADDINGS[padding], device), form.target_width - 1
    symbols = torch.empty((len(side), length), dtype=torch.long)
    scores = torch.empty((len(side), length), dtype=torch.float64)
    for rows in side.parts(rows_at_once(form.target_width, len(form.answers))):
        written = _answer(model, *side.read(rows), side.padding, form, sampling, generator)
        symbols[rows] = written.symbols.cpu()
        scores[rows] = written.log_probabilities.cpu().double()
    return Written(symbols, scores)


@torch.inference_mode()
def _answer(
    model: Seq2Seq,
    ids: Tensor,
    lengths: Tensor | None,
    padding: Padding,
    form: PairsForm,
    sampling: Sampling,
    generator: torch.Generator | None,
) -> Written:
    memory, state = model.encode(ids, lengths)

    def step(symbols: Tensor, state: State | None) -> tuple[Tensor, State]:
        assert state is not None
        decoded = model.decode(symbols, state, memory)
        return decoded.logits, decoded.state

    vocabulary = form.answers
    first = ids.new_full((len(ids), 1), vocabulary["start"])
    end, length = padding.end(vocabulary["end"]), form.target_width - 1
    return decode(step, first, state, length, sampling, generator, end, vocabulary["pad"])


def texts_of(written: Written, form: PairsForm, padding: str) -> list[str]:
    """Return answers as texts, without what comes after their ends."""
    vocabulary = form.answers
    kept = PADDINGS[padding].answered(written.symbols, vocabulary["end"]).sum(dim=1)
    return [
        vocabulary.text(row[:length])
        for row, length in zip(written.symbols.tolist(), kept.tolist(), strict=True)
    ]
