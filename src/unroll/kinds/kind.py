"""What every kind of model binds together.

The parts that compute are imported where they are used: reading results needs no PyTorch.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import Field, model_validator

from unroll.errors import UserError
from unroll.metrics import Metric
from unroll.options import (
    BeamWidth,
    Generate,
    LengthPenalty,
    Seed,
    Strict,
    VariantOptions,
    search_or_draw,
)
from unroll.tasks.task import Task

if TYPE_CHECKING:
    from torch import nn

    from unroll.evaluation.attention import Look
    from unroll.evaluation.evaluation import Evaluation
    from unroll.generation.writing import Continuation, Standing
    from unroll.runs.model import TrainedModel
    from unroll.training.machine import Machine
    from unroll.training.objective import Objective

D = TypeVar("D")  # its data
F = TypeVar("F", bound=Strict)  # what a model must know of them

SPLITS = ("valid", "test")


class Request(Strict):
    """What who asks a served model may set; the values are what holds where nothing is said."""

    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Seed = 0

    def words(self) -> int:
        """Return how many words are asked for at most, for each text."""
        return 1

    def conversation(self) -> str:
        """Return the name of the conversation to which texts belong; empty: they stand alone."""
        return ""


class SearchRequest(Request):
    """What may be set of a model that writes symbol after symbol."""

    beam_width: BeamWidth = 1
    length_penalty: LengthPenalty = 0.0

    @model_validator(mode="after")
    def _searched_or_drawn(self) -> "SearchRequest":
        search_or_draw(self.beam_width, self.temperature)
        return self


class SessionRequest(Request):
    """What may be set of a model that goes on from what was said or written before."""

    session: str = ""  # a name: texts of the same session stand after those before them

    def conversation(self) -> str:
        """Return the session."""
        return self.session


class Kind(ABC, Generic[D, F]):
    """A kind of model."""

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]  # the first one decides
    Form: ClassVar[type[Strict]]
    Request: ClassVar[type[Request]] = Request
    unit: ClassVar[str]  # what the examples of a split are called: pairs
    seen: ClassVar[str]  # what a model sees one after another in training: questions
    columns: ClassVar[tuple[str, ...]]  # of an example
    output: ClassVar[str]  # what a served model calls what it says
    continues: ClassVar[bool] = False  # it goes on with a text, and does not answer it
    converses: ClassVar[bool] = False  # it answers what was said after what was said before
    sees: ClassVar[bool] = False  # what it answers to is a picture, as base64 of its file
    # What computes in another way on a GPU, in bfloat16 or at full size: no plan can show it.
    unseen: ClassVar[tuple[str, ...]] = ("training/machine.py",)

    # Metrics

    @property
    def main(self) -> Metric:
        """The metric that decides."""
        return self.metrics[0]

    @property
    def deciding(self) -> str:
        """The score by which variants are compared."""
        return f"test_{self.main.name}"

    def decides_with(self, score: str) -> bool:
        """Say whether a score is of the split by which variants are compared."""
        return score.partition("_")[0] == self.deciding.partition("_")[0]

    @property
    def choosing(self) -> str:
        """The score by which a run is chosen: the test split is not asked."""
        return f"valid_{self.main.name}"

    def metric(self, score: str) -> Metric:
        """Return the metric of a score, which is named by split and metric.

        Raises:
            KeyError: this kind has no such score.
        """
        split, _, name = score.partition("_")
        found = {metric.name: metric for metric in self.metrics}
        if split not in SPLITS or name not in found:
            raise KeyError(score)
        return found[name]

    # Data

    @abstractmethod
    def load(self, folder: Path) -> D:
        """Read prepared data.

        Raises:
            DataError: something is missing or damaged.
        """

    @abstractmethod
    def save(self, data: D, folder: Path) -> None:
        """Write prepared data; an earlier folder is replaced only when all is written."""

    @abstractmethod
    def form(self, data: D) -> F:
        """Return what a model must know of its data."""

    def questions(self, data: D) -> Mapping[str, Sequence[str]]:
        """Return, by split, what must not stand in two splits; nothing where that can't be."""
        return {}

    @abstractmethod
    def made_up(self, options: VariantOptions) -> D:
        """Return small data, always the same, on which a variant's behaviour shows (plans/)."""

    def bring_to_end(self, data: D, model: Any, options: Any) -> None:
        """Let a model that knows nothing end some of its answers to made-up data early."""

    def half_right(self, data: D, model: Any, options: Any) -> D:
        """Return made-up data to some of whose questions the model's answers are right.

        As they are, where a model that knows nothing is right often enough by chance.
        """
        return data

    def with_texts(self, data: D) -> D:
        """Return made-up data with texts, for a task that keeps them (Task.keeps_texts)."""
        return data

    # Models

    def build(self, options: VariantOptions, form: F) -> "nn.Module":
        """Return a model of this shape, its parameters not drawn yet."""
        from unroll.models.initialise import freeze

        model = self.model(options, form)
        freeze(model, options.init)
        return model

    @abstractmethod
    def model(self, options: Any, form: F) -> "nn.Module":
        """Return a model of this shape."""

    @abstractmethod
    def objective(
        self, model: Any, data: D, options: Any, seed: int, machine: "Machine"
    ) -> "Objective":
        """Return what training minimises."""

    @abstractmethod
    def evaluate(
        self, model: Any, data: D, options: Any, task: Task[Any], device: str
    ) -> "Evaluation":
        """Return what is known of a model on validation and test."""

    def look_inside(
        self, model: Any, data: D, options: Any, seed: int, found: "Evaluation"
    ) -> "Evaluation":
        """Return what was found, with what goes on inside the model where that can be shown."""
        return found

    def score_by(self, method: str, model: Any, data: D, found: "Evaluation") -> "Evaluation":
        """Return what was found, with what another way to predict a text brings."""
        return found

    def scored(
        self,
        methods: Sequence[str],
        model: Any,
        data: D,
        options: VariantOptions,
        task: Task[Any],
        device: str,
    ) -> "Iterator[Evaluation]":
        """Yield what is known of a model as it is, and then with each method more."""
        found = self.evaluate(model, data, options, task, device)
        yield found
        for method in methods:
            found = self.score_by(method, model, data, found)
            yield found

    # Answers

    @abstractmethod
    def answer(
        self, trained: "TrainedModel", texts: Sequence[str], request: Any
    ) -> list[tuple[str, float]]:
        """Return what a model says to each text, and its log-probability (natural logarithm).

        Raises:
            UserError: a text is none that the model can answer.
        """

    def likeliest(
        self, trained: "TrainedModel", texts: Sequence[str], request: Any
    ) -> list[list[tuple[str, float]]]:
        """Return the best answers to each text, the best first; one where nothing else is found."""
        return [[found] for found in self.answer(trained, texts, request)]

    def unknown(self, trained: "TrainedModel", text: str) -> list[str]:
        """Return what of a text the model does not know, and reads as one and the same."""
        return []

    def look(self, trained: "TrainedModel", text: str, request: Any) -> "Look":
        """Return what each symbol of the answer to a text looks at.

        Raises:
            UserError: the model has no attention.
        """
        raise UserError(f"{trained.record.subject.variant} has no attention: there is no map")

    def write(self, trained: "TrainedModel", options: Generate) -> "dict[str, list[Continuation]]":
        """Return how a model goes on with each prompt; nothing where it does not."""
        return {}

    def go_on(
        self, trained: "TrainedModel", text: str, request: Any, after: "Standing | None" = None
    ) -> "Continuation":
        """Return what a model writes after a text, which stands `after` what stood before it.

        Raises:
            UserError: it is a model that answers, or it does not know a word of the text.
        """
        raise UserError(f"{trained.record.subject.variant} answers questions; it does not write")

    @abstractmethod
    def example(self, task: Task[Any], form: F) -> str:
        """Return a text to which a model can say something."""
