"""Answers of a sequence-to-sequence model: many sources at once."""

import torch
from torch import Tensor

from unroll.data.batches import rows_at_once
from unroll.data.pairs import PairsForm
from unroll.data.sequences import Sequences
from unroll.generation.beam import Hypotheses, beam_search
from unroll.generation.decoding import GREEDY, Step, Written, decode
from unroll.generation.sampling import Sampling
from unroll.models.encoder import Memory
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
    vocabulary = form.answers
    first = ids.new_full((len(ids), 1), vocabulary["start"])
    end, length = padding.end(vocabulary["end"]), form.target_width - 1
    step = _steps(model, memory)
    return decode(step, first, state, length, sampling, generator, end, vocabulary["pad"])


def likeliest(
    model: Seq2Seq,
    sources: Sequences,
    form: PairsForm,
    padding: str,
    width: int,
    length_penalty: float = 0.0,
    device: str = "cpu",
) -> Hypotheses:
    """Return the `width` = K best answers to sources that beam search finds, on the CPU."""
    model.eval()
    side, length = Side(sources, PADDINGS[padding], device), form.target_width - 1
    symbols = torch.empty((len(side), width, length), dtype=torch.long)
    logs, scores = (torch.empty((len(side), width), dtype=torch.float64) for _ in range(2))
    for rows in side.parts(rows_at_once(form.target_width * width, len(form.answers))):
        found = _search(model, *side.read(rows), side.padding, form, width, length_penalty)
        symbols[rows] = found.symbols.cpu()
        logs[rows], scores[rows] = found.log_probabilities.cpu(), found.scores.cpu()
    return Hypotheses(symbols, logs, scores)


@torch.inference_mode()
def _search(
    model: Seq2Seq,
    ids: Tensor,
    lengths: Tensor | None,
    padding: Padding,
    form: PairsForm,
    width: int,
    length_penalty: float,
) -> Hypotheses:
    memory, state = model.encode(ids, lengths)
    vocabulary = form.answers
    first = ids.new_full((len(ids), 1), vocabulary["start"])
    end, length = padding.end(vocabulary["end"]), form.target_width - 1
    many = tuple(part.repeat_interleave(width, dim=1) for part in state)
    step = _steps(model, memory.repeated(width))
    pad = vocabulary["pad"]
    return beam_search(step, first, many, length, width, length_penalty, end, pad)


def _steps(model: Seq2Seq, memory: Memory) -> Step:
    """Return how a model goes on with answers, having read their sources."""

    def step(symbols: Tensor, state: State | None) -> tuple[Tensor, State]:
        assert state is not None
        decoded = model.decode(symbols, state, memory)
        return decoded.logits, decoded.state

    return step


def texts_of(symbols: Tensor, form: PairsForm, padding: str) -> list[str]:
    """Return answers (N, T') as texts, without what comes after their ends."""
    vocabulary = form.answers
    kept = PADDINGS[padding].answered(symbols, vocabulary["end"]).sum(dim=1)
    return [
        vocabulary.text(row[:length])
        for row, length in zip(symbols.tolist(), kept.tolist(), strict=True)
    ]
