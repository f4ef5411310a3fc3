"""Trained models for notebooks: `unroll.open("root").model("peeky").ask("57+5")`.

Nothing here trains, and nothing but the models is read. Run it in the project's root folder.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from unroll import study as params
from unroll.errors import DataError, UserError
from unroll.faults import validate
from unroll.options import Generate
from unroll.runs.model import TrainedModel, read_model
from unroll.runs.record import Record, best, seed_folder
from unroll.runs.trained import trained
from unroll.study import ROOT_STUDY, Study

if TYPE_CHECKING:
    from unroll.evaluation.attention import Look
    from unroll.generation.writing import Continuation


class OpenStudy:
    """A study whose models can be asked."""

    def __init__(self, study: Study) -> None:
        self.study = study

    @property
    def variants(self) -> list[str]:
        """The names of the variants that are trained."""
        return [name for name in self.study.variants if self.study.model(name).is_dir()]

    def model(self, variant: str, seed: int | None = None) -> "Model":
        """Return the model of a variant: of this seed, or of the one that is best on validation.

        Raises:
            UserError: there is no such variant or seed.
            DataError: the variant is not trained, or a file of it is damaged.
        """
        self.study.variant(variant)
        self._check_trained([variant])
        records = {record.seed: record for record in trained(self.study, variant)}
        if seed is None:
            return Model(self.study, best(records.values()))
        if seed not in records:
            raise UserError(f"{variant} has no seed {seed}; it has {', '.join(map(str, records))}")
        return Model(self.study, records[seed])

    def best(self, task: str, variants: Sequence[str] | None = None) -> "Model":
        """Return the model of a task that is best on validation.

        Raises:
            UserError: there is no such task, or no variant of it.
            DataError: none of its variants is trained, or a file is damaged.
        """
        self.study.task(task)
        asked = list(self.study.variants_of(task)) if variants is None else list(variants)
        if not asked:
            raise UserError(f"{self.study.params_file} has no variant of {task}")
        self._check_trained(asked)
        there = [variant for variant in asked if variant in self.variants]
        records = [record for variant in there for record in trained(self.study, variant)]
        return Model(self.study, best(records))

    def _check_trained(self, variants: Sequence[str]) -> None:
        if not set(variants) & set(self.variants):
            raise DataError(
                f"no trained model of {' or '.join(variants)} yet; "
                f"{self.study.rerun(f'train@{variants[0]}')} (this model alone), "
                f"or {self.study.repro} (the whole study)"
            )


class Model:
    """A trained model: one variant, one seed."""

    def __init__(self, study: Study, record: Record) -> None:
        self.study, self.record = study, record

    @cached_property
    def trained(self) -> TrainedModel:
        """The record with its network, read when it is first needed."""
        variant = self.record.subject.variant
        with self.study.remedy(f"train@{variant}"):
            return read_model(seed_folder(self.study.model(variant), self.record.seed))

    def answers(self, texts: Sequence[str], **request: Any) -> list[tuple[str, float]]:
        """Return what the model says to each text, and its log-probability.

        `request` may hold what a served model takes: `temperature`, `top_k`, `top_p`, `seed`, of
        models that write symbol after symbol `beam_width` and `length_penalty`, of a
        sequence-to-sequence model `longest_ratio` and `replace_unknown`, and of a language model
        `min_p`, `repetition_penalty`, `max_length` and `skip`.

        Raises:
            UserError: a text is none that the model can answer; the message says what one is. Or
                the request asks for what cannot be.
        """
        return self.record.kind.answer(self.trained, list(texts), self.request(request))

    def likeliest(self, question: str, **request: Any) -> list[tuple[str, float]]:
        """Return the answers that a beam of `beam_width` finds, the best first."""
        (found,) = self.record.kind.likeliest(self.trained, [question], self.request(request))
        return found

    def look(self, question: str, **request: Any) -> "Look":
        """Return the symbols of a question, those of its answer, and the weights of attention.

        Raises:
            UserError: the model has no attention.
        """
        return self.record.kind.look(self.trained, question, self.request(request))

    def unknown(self, question: str) -> list[str]:
        """Return what of a question the model does not know, and reads as one and the same."""
        return self.record.kind.unknown(self.trained, question)

    def request(self, given: Mapping[str, Any]) -> Any:
        """Return what is asked of the model, checked.

        Raises:
            UserError: it asks for what cannot be.
        """
        faults: list[str] = []
        checked = validate(self.record.kind.Request, dict(given), "request", faults)
        if checked is None:
            raise UserError("\n".join(faults))
        return checked

    def ask(self, question: str, **request: Any) -> str:
        """Return the answer to a question."""
        return self.answers([question], **request)[0][0]

    def complete(self, prompt: str, **request: Any) -> str:
        """Return a text with what a language model writes after it.

        Raises:
            UserError: it is a model that answers, and does not write.
        """
        self._check_writes()
        return self.answers([prompt], **request)[0][0]

    def write(
        self, prompt: str = "", after: "Continuation | None" = None, **request: Any
    ) -> "Continuation":
        """Return what a language model writes after a prompt, from which the text can go on.

        `after` is an earlier continuation: the prompt, if any, is read behind it. Their `text`s,
        joined, are the whole text. Asked with the same `request`, seed and all, it has the words
        that would have been written at once (generation/writing.py says what else is promised).

        Raises:
            UserError: a word is unknown; it is a model that answers, and does not write; or `after`
                is of another model.
        """
        standing = None if after is None else after.standing
        return self.record.kind.go_on(self.trained, prompt, self.request(request), standing)

    def continuations(self, prompt: str, options: Generate) -> list[str]:
        """Return continuations as options of the section `generate` ask for them."""
        self._check_writes()
        written = self.record.kind.write(self.trained, options)
        return [one.text for one in written[prompt]]

    def _check_writes(self) -> None:
        if not self.record.kind.continues:
            raise UserError(f"{self.record.subject.variant} answers questions; it does not write")


def open_study(name: str = ROOT_STUDY) -> OpenStudy:
    """Return a study whose models can be asked.

    Raises:
        UserError: its params file is missing or cannot be used.
    """
    return OpenStudy(params.load(name))
