"""Answers of a sequence-to-sequence model: many sources at once."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from unroll.data.batches import rows_at_once
from unroll.data.captioned import CaptionedForm
from unroll.data.pairs import PairsForm
from unroll.data.pictures import Pictures
from unroll.data.sequences import Sequences
from unroll.errors import UserError
from unroll.generation.beam import Hypotheses, beam_search
from unroll.generation.decoding import GREEDY, Step, Written, decode
from unroll.generation.sampling import Sampling
from unroll.models.encoder import Memory
from unroll.models.layers import State
from unroll.models.padding import PADDINGS
from unroll.models.seq2seq import Seq2Seq
from unroll.models.side import side_of


class Read(NamedTuple):
    """What is known of n sources that have been read, each of them K times."""

    step: Step
    first: Tensor  # (n, 1): the start symbol
    state: State  # of n · K sequences
    limits: Tensor | None  # (n · K,): how many symbols may stand before the end


class Sources:
    """Sources that a model reads, and what ends the answers that it writes to them."""

    def __init__(
        self,
        model: Seq2Seq,
        sources: Sequences | Pictures,
        form: PairsForm | CaptionedForm,
        padding: str,
        device: str,
        longest_ratio: float,
    ) -> None:
        self.model, self.form, self.ratio = model.eval(), form, longest_ratio
        self.side = side_of(sources, PADDINGS[padding], device)
        self.length = form.target_width - 1  # that of the longest answer
        self.end, self.pad = self.side.padding.end(form.answers["end"]), form.answers["pad"]
        if longest_ratio and self.end is None:
            raise UserError(
                f"longest_ratio: no symbol ends the answers of a model with padding: {padding}"
            )

    def __len__(self) -> int:
        return len(self.side)

    def parts(self, width: int = 1) -> Iterator[Tensor]:
        """Yield the rows of sources that are answered together, `width` ways each."""
        yield from self.side.parts(
            rows_at_once(self.form.target_width * width, len(self.form.answers))
        )

    @torch.inference_mode()
    def read(self, rows: Tensor, width: int = 1) -> Read:
        """Return what a model knows of n sources, each of them `width` times."""
        ids, lengths = self.side.read(rows)
        memory, state = self.model.encode(ids, lengths)
        return Read(
            _steps(self.model, memory.repeated(width)),
            torch.full((len(ids), 1), self.form.answers["start"], device=ids.device),
            tuple(part.repeat_interleave(width, dim=1) for part in state),
            self._limits(rows, width),
        )

    def _limits(self, rows: Tensor, width: int) -> Tensor | None:
        if not self.ratio:
            return None
        limits = (self.side.lengths[rows].double() * self.ratio).ceil().long()
        return limits.to(self.side.device).repeat_interleave(width)


def answer(
    model: Seq2Seq,
    sources: Sequences | Pictures,
    form: PairsForm | CaptionedForm,
    padding: str,
    device: str = "cpu",
    sampling: Sampling = GREEDY,
    generator: torch.Generator | None = None,
    longest_ratio: float = 0.0,
) -> Written:
    """Return the answers (N, T') to sources, on the CPU; T' is what fits in a target.

    The decoder reads the start symbol, then at each step the symbol chosen at the step
    before: the most likely one, unless `sampling` says otherwise. It computes in the
    precision of the model's weights. Sources of like length are answered together. With
    `longest_ratio` an answer has at most so many symbols for each of its source, and its end.
    """
    of = Sources(model, sources, form, padding, device, longest_ratio)
    symbols = torch.empty((len(of), of.length), dtype=torch.long)
    scores = torch.empty((len(of), of.length), dtype=torch.float64)
    for rows in of.parts():
        step, first, state, limits = of.read(rows)
        written = decode(step, first, state, of.length, sampling, generator, of.end, of.pad, limits)
        symbols[rows] = written.symbols.cpu()
        scores[rows] = written.log_probabilities.cpu().double()
    return Written(symbols, scores)


def likeliest(
    model: Seq2Seq,
    sources: Sequences | Pictures,
    form: PairsForm | CaptionedForm,
    padding: str,
    width: int,
    length_penalty: float = 0.0,
    device: str = "cpu",
    longest_ratio: float = 0.0,
) -> Hypotheses:
    """Return the `width` = K best answers to sources that beam search finds, on the CPU."""
    of = Sources(model, sources, form, padding, device, longest_ratio)
    symbols = torch.empty((len(of), width, of.length), dtype=torch.long)
    logs, scores = (torch.empty((len(of), width), dtype=torch.float64) for _ in range(2))
    for rows in of.parts(width):
        step, first, state, limits = of.read(rows, width)
        found = beam_search(
            step, first, state, of.length, width, length_penalty, of.end, of.pad, limits
        )
        symbols[rows] = found.symbols.cpu()
        logs[rows], scores[rows] = found.log_probabilities.cpu(), found.scores.cpu()
    return Hypotheses(symbols, logs, scores)


def _steps(model: Seq2Seq, memory: Memory) -> Step:
    """Return how a model goes on with answers, having read their sources."""

    def step(symbols: Tensor, state: State | None) -> tuple[Tensor, State]:
        assert state is not None
        decoded = model.decode(symbols, state, memory)
        return decoded.logits, decoded.state

    return step


def texts_of(symbols: Tensor, form: PairsForm | CaptionedForm, padding: str) -> list[str]:
    """Return answers (N, T') as texts, without what comes after their ends."""
    vocabulary = form.answers
    kept = PADDINGS[padding].answered(symbols, vocabulary["end"]).sum(dim=1)
    return [
        vocabulary.text(row[:length])
        for row, length in zip(symbols.tolist(), kept.tolist(), strict=True)
    ]
