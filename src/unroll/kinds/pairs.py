"""Pairs: a sequence-to-sequence model answers a source sequence with a target sequence."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from unroll.data.pairs import Pairs, PairsForm, Texts, load_pairs, save_pairs
from unroll.data.sequences import SPLITS, Sequences, encode
from unroll.data.vocabulary import Vocabulary
from unroll.errors import UserError
from unroll.kinds.kind import Kind, SearchRequest
from unroll.kinds.made_up import letters, sequences
from unroll.metrics import BLEU, CHARACTER_ACCURACY, CHRF, EXACT_MATCH, PERPLEXITY, Metric
from unroll.options import PairsOptions, Strict
from unroll.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from unroll.evaluation.attention import Look
    from unroll.evaluation.evaluation import Evaluation
    from unroll.generation.beam import Hypotheses
    from unroll.models.seq2seq import Seq2Seq
    from unroll.runs.model import TrainedModel
    from unroll.training.machine import Machine
    from unroll.training.objective import Objective


class PairsRequest(SearchRequest):
    """What who asks a served model may set."""

    longest_ratio: Annotated[float, Field(ge=0, le=1000)] = 0.0  # 0: as long as any of the data
    replace_unknown: bool = False

    def words(self) -> int:
        """Return how many answers are searched for, for each text."""
        return self.beam_width


class PairsKind(Kind[Pairs, PairsForm]):
    """A sequence → a sequence."""

    name = "pairs"
    metrics: ClassVar[tuple[Metric, ...]] = (
        EXACT_MATCH,
        CHARACTER_ACCURACY,
        BLEU,
        CHRF,
        PERPLEXITY,
    )
    Form: ClassVar[type[Strict]] = PairsForm
    Request = PairsRequest
    unit, seen = "pairs", "questions"
    columns = ("question", "answer")
    output = "answer"

    def load(self, folder: Path) -> Pairs:
        """Read prepared pairs."""
        return load_pairs(folder)

    def save(self, data: Pairs, folder: Path) -> None:
        """Write prepared pairs."""
        save_pairs(data, folder)

    def form(self, data: Pairs) -> PairsForm:
        """Return the vocabularies and the greatest lengths."""
        return data.form

    def questions(self, data: Pairs) -> Mapping[str, Sequence[str]]:
        """Return the sources as texts."""
        return {split: data.questions(split) for split in SPLITS}

    def made_up(self, options: Any) -> Pairs:
        """Return pairs of different lengths, each side with a vocabulary of its own."""
        chooses = options.curriculum != "all"
        source = letters("abcdef", "pad")
        target = letters("uvwxyz", "pad", "start", "end")
        form = PairsForm(source=source, target=target, source_width=6, target_width=7)
        sides = (("source", source, form.source_width), ("target", target, form.target_width))
        sources, targets = (
            {split: sequences(split, side, vocabulary, width) for split in SPLITS}
            for side, vocabulary, width in sides
        )
        # Most are of the hardest of three levels: an epoch has as many, and more than one batch.
        levels = np.minimum(np.arange(len(sources["train"])) // 2, 2) + 1
        return Pairs(form, sources, targets, {}, None, levels if chooses else None)

    def bring_to_end(self, data: Pairs, model: Any, options: PairsOptions) -> None:
        """Make the end symbol likelier, until a third of the answers end early."""
        from unroll.generation.answering import answer
        from unroll.models.padding import PADDINGS

        end = data.form.answers["end"]
        if PADDINGS[options.padding].end(end) is None:
            return
        for _ in range(20):
            symbols = answer(model, data.sources["test"], data.form, options.padding).symbols
            if 3 * (symbols[:, :-1] == end).any(dim=1).sum() >= len(symbols):
                return
            model.decoder.affine.bias.data[end] += 0.25

    def half_right(self, data: Pairs, model: Any, options: PairsOptions) -> Pairs:
        """Return the pairs, every other answer being that of the model."""
        from unroll.generation.answering import answer
        from unroll.models.padding import PADDINGS

        form, targets = data.form, dict(data.targets)
        for split in ("valid", "test"):
            written = answer(model, data.sources[split], form, options.padding).symbols
            kept = PADDINGS[options.padding].answered(written, form.answers["end"]).sum(dim=1)
            ids, lengths = targets[split].ids.copy(), targets[split].lengths.copy()
            ids[::2, 1:], lengths[::2] = written[::2].numpy(), kept[::2].numpy() + 1
            targets[split] = Sequences(ids, lengths)
        changed = replace(data, targets=targets, texts=None)
        return changed if data.texts is None else self.with_texts(changed)

    def with_texts(self, data: Pairs) -> Pairs:
        """Return the pairs with their texts; every third question has a second answer."""
        texts = {
            split: Texts(
                questions=data.questions(split),
                references=[
                    [answer, answer[::-1]] if row % 3 == 0 else [answer]
                    for row, answer in enumerate(data.answers(split))
                ],
            )
            for split in SPLITS
        }
        return replace(data, texts=texts)

    def model(self, options: PairsOptions, form: PairsForm) -> "Seq2Seq":
        """Return a sequence-to-sequence model."""
        from unroll.models.seq2seq import Seq2Seq

        return Seq2Seq(options, form)

    def objective(
        self, model: Any, data: Pairs, options: PairsOptions, seed: int, machine: "Machine"
    ) -> "Objective":
        """Return the cross entropy of the target symbols."""
        from unroll.training.pairs import PairsObjective

        return PairsObjective(model, data, options, seed, machine)

    def evaluate(
        self, model: Any, data: Pairs, options: PairsOptions, task: Task[Any], device: str
    ) -> "Evaluation":
        """Let the model answer both splits."""
        from unroll.evaluation.pairs import evaluate_pairs

        return evaluate_pairs(model, data, options.padding, task, device)

    def answer(
        self, trained: "TrainedModel", texts: Sequence[str], request: PairsRequest
    ) -> list[tuple[str, float]]:
        """Return the answers: greedy, drawn, or the best that beam search finds."""
        if request.beam_width > 1:
            return [first for first, *_ in self.likeliest(trained, texts, request)]
        from unroll.generation.answering import answer
        from unroll.generation.sampling import Sampling
        from unroll.seeds import torch_generator

        form, padding = trained.form, trained.options.padding
        questions, source = self._read(trained, texts)
        sampling = Sampling(request.temperature, request.top_k, request.top_p)
        generator = torch_generator(request.seed, "serve")
        written = answer(
            trained.model,
            source,
            form,
            padding,
            sampling=sampling,
            generator=generator,
            longest_ratio=request.longest_ratio,
        )
        scores = written.log_probabilities.sum(dim=1).tolist()
        said = self._said(trained, questions, source, written.symbols, request)
        return list(zip(said, scores, strict=True))

    def likeliest(
        self, trained: "TrainedModel", texts: Sequence[str], request: PairsRequest
    ) -> list[list[tuple[str, float]]]:
        """Return the best answers to each text, as many as the beam is wide or as were found."""
        K = request.beam_width
        questions, source = self._read(trained, texts)
        found = self._searched(trained, source, request)
        each = np.repeat(np.arange(len(source)), K)
        symbols = found.symbols.flatten(0, 1)
        repeated = [questions[i] for i in each.tolist()]
        said = iter(self._said(trained, repeated, source.part(each), symbols, request))
        rows = found.log_probabilities.tolist()
        return [[(next(said), score) for score in row if score > -np.inf] for row in rows]

    def look(self, trained: "TrainedModel", text: str, request: PairsRequest) -> "Look":
        """Return what the symbols of an answer look at.

        Raises:
            UserError: the model has no attention.
        """
        from unroll.evaluation.attention import looks_of

        form, padding = trained.form, trained.options.padding
        _, source = self._read(trained, [text])
        found = self._searched(trained, source, request)
        looks = looks_of(trained.model, source, found.symbols[:, 0], form, padding, "cpu")
        if not looks:
            raise UserError(f"{trained.record.subject.variant} has no attention: there is no map")
        return looks[0]

    def unknown(self, trained: "TrainedModel", text: str) -> list[str]:
        """Return the symbols of a question that the model does not know, as they stand there."""
        vocabulary: Vocabulary = trained.form.source
        return vocabulary.unknown(trained.task.question(text))

    def _read(self, trained: "TrainedModel", texts: Sequence[str]) -> tuple[list[str], Sequences]:
        """Return questions as the task has them, and as sequences."""
        questions = [trained.task.question(text) for text in texts]
        form = trained.form
        return questions, encode(questions, form.source, form.source_width, "the questions")

    def _searched(
        self, trained: "TrainedModel", source: Sequences, request: PairsRequest
    ) -> "Hypotheses":
        from unroll.generation.answering import likeliest

        if request.temperature > 0:
            raise UserError("temperature: the likeliest answers are not drawn; leave it out")
        return likeliest(
            trained.model,
            source,
            trained.form,
            trained.options.padding,
            request.beam_width,
            request.length_penalty,
            longest_ratio=request.longest_ratio,
        )

    def _said(
        self,
        trained: "TrainedModel",
        questions: Sequence[str],
        source: Sequences,
        symbols: "Tensor",
        request: PairsRequest,
    ) -> list[str]:
        """Return answers (N, T') as texts; for an unknown symbol, if asked, what it looked at."""
        from unroll.generation.answering import texts_of
        from unroll.generation.unknown import replaced

        form, padding = trained.form, trained.options.padding
        if not request.replace_unknown:
            return texts_of(symbols, form, padding)
        return replaced(trained.model, questions, source, symbols, form, padding)

    def example(self, task: Task[Any], form: PairsForm) -> str:
        """Return the task's own question, or one symbol."""
        return task.example or form.source.symbols[-1]


KIND = PairsKind()
