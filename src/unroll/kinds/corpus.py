"""A corpus: a language model says what comes next, word by word."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from unroll.data.corpus import Corpus, CorpusForm, load_corpus, save_corpus
from unroll.data.sequences import SPLITS
from unroll.data.vocabulary import SPECIAL, Vocabulary
from unroll.kinds.kind import Kind, SearchRequest, SessionRequest
from unroll.kinds.made_up import stream
from unroll.metrics import BY_METHOD, PERPLEXITY
from unroll.options import (
    CorpusOptions,
    Count,
    Generate,
    RepetitionPenalty,
    Share,
    VariantOptions,
)
from unroll.tasks.task import Task

if TYPE_CHECKING:
    from unroll.evaluation.evaluation import Evaluation
    from unroll.generation.writing import Continuation, Standing
    from unroll.models.language_model import LanguageModel
    from unroll.runs.model import TrainedModel
    from unroll.training.machine import Machine
    from unroll.training.objective import Objective


class CorpusRequest(SearchRequest, SessionRequest):
    """A continuation is sampled, unless something else is asked for."""

    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    min_p: Share = 0.0
    repetition_penalty: RepetitionPenalty = 1.0
    max_length: Count = 60
    skip: str = "<unk> N $"  # words with blanks between them

    def words(self) -> int:
        """Return how many words are written at most for each text, in all ways that are tried."""
        return self.max_length * self.beam_width

    def generate(self, prompt: str) -> Generate:
        """Return it as options of generation."""
        return Generate(
            prompts=[prompt],
            length=self.max_length,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            beam_width=self.beam_width,
            length_penalty=self.length_penalty,
            skip=self.skip.split(),
            seed=self.seed,
        )


class CorpusKind(Kind[Corpus, CorpusForm]):
    """A stream."""

    name = "corpus"
    metrics = (PERPLEXITY, *BY_METHOD.values())
    Form = CorpusForm
    Request = CorpusRequest
    unit, seen = "tokens", "words"
    columns = ("token",)
    output = "continuation"
    continues = True
    unseen = (*Kind.unseen, "models/linear_cross_entropy.py")

    def load(self, folder: Path) -> Corpus:
        """Read a prepared corpus."""
        return load_corpus(folder)

    def save(self, data: Corpus, folder: Path) -> None:
        """Write a prepared corpus."""
        save_corpus(data, folder)

    def form(self, data: Corpus) -> CorpusForm:
        """Return the words."""
        return data.form

    def made_up(self, options: VariantOptions) -> Corpus:
        """Return a corpus of few words, in which some follow from others."""
        special = {"end": SPECIAL["end"]}
        vocabulary = Vocabulary([*"abcdefgh", SPECIAL["end"]], special=special, unit="word")
        tokens = {split: stream(split, vocabulary) for split in SPLITS}
        return Corpus(CorpusForm(vocabulary=vocabulary), tokens, {})

    def model(self, options: CorpusOptions, form: CorpusForm) -> "LanguageModel":
        """Return a language model."""
        from unroll.models.language_model import LanguageModel

        return LanguageModel(options, form)

    def objective(
        self, model: Any, data: Corpus, options: CorpusOptions, seed: int, machine: "Machine"
    ) -> "Objective":
        """Return the cross entropy of the next token."""
        from unroll.training.corpus import CorpusObjective

        return CorpusObjective(model, data, options, seed, machine)

    def evaluate(
        self, model: Any, data: Corpus, options: CorpusOptions, task: Task[Any], device: str
    ) -> "Evaluation":
        """Return the exact perplexity of both splits, and where it comes from."""
        from unroll.evaluation.corpus import evaluate_corpus

        return evaluate_corpus(model, data)

    def score_by(self, method: str, model: Any, data: Corpus, found: "Evaluation") -> "Evaluation":
        """Return what was found with the perplexity by a method, tuned on validation."""
        from unroll.evaluation.corpus import score_by

        return score_by(method, model, data, found)

    def look_inside(
        self, model: Any, data: Corpus, options: Any, seed: int, found: "Evaluation"
    ) -> "Evaluation":
        """Return what was found with what goes on inside the model.

        Raises:
            DataError: the validation split is too short.
        """
        from unroll.evaluation.inside import look_inside

        return replace(found, inside=look_inside(model.cpu(), options, data, seed))

    def answer(
        self, trained: "TrainedModel", texts: Sequence[str], request: CorpusRequest
    ) -> list[tuple[str, float]]:
        """Return the texts with what the model writes after them."""
        written = [self.go_on(trained, text, request) for text in texts]
        return [(one.text, one.log_probability) for one in written]

    def write(self, trained: "TrainedModel", options: Generate) -> "dict[str, list[Continuation]]":
        """Return the continuations of each prompt."""
        from unroll.generation.writing import continuations

        vocabulary = trained.form.vocabulary
        return {
            prompt: continuations(trained.model, vocabulary, prompt, options)
            for prompt in options.prompts
        }

    def go_on(
        self,
        trained: "TrainedModel",
        text: str,
        request: CorpusRequest,
        after: "Standing | None" = None,
    ) -> "Continuation":
        """Return the continuation of a text, or of one that stands `after` another."""
        from unroll.generation.writing import continuations

        vocabulary, options = trained.form.vocabulary, request.generate(text)
        return continuations(trained.model, vocabulary, text, options, after)[0]

    def example(self, task: Task[Any], form: CorpusForm) -> str:
        """Return the first words of the vocabulary."""
        return " ".join(form.vocabulary.symbols[:3])


KIND = CorpusKind()
