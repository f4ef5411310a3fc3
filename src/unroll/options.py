"""What a params file may say: strict, frozen objects, one class a section.

A variant's options are those of its kind of model; `resolved` is what is kept of them in plans,
keys and run records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Penalty = Annotated[float, Field(ge=0, le=1000)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
BeamWidth = Annotated[int, Field(ge=1, le=100)]
LengthPenalty = Annotated[float, Field(ge=0, le=10)]
# Below 1 what stands there already would become likelier, with each time that it is written.
RepetitionPenalty = Annotated[float, Field(ge=1, le=10)]


class Strict(BaseModel):
    """Base of all that is read: strict types, no unknown keys, no change after reading."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


@dataclass(frozen=True)
class Neutral:
    """Marks an option with the value at which it does nothing.

    An option that comes later is left out of plans, keys and records where it has this value, and
    a record without it is read as having it: nothing trains again because an option was added.
    """

    value: Any


class Compute(Strict):
    """Where and how to compute."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    workers: Literal["auto"] | Count = "auto"
    threads: Count = 1
    executor: Literal["auto", "processes", "stacked", "ranks"] = "auto"


class VariantOptions(Strict):
    """Options that every variant has, whatever its task."""

    kind: ClassVar[str]  # the name of its kind (kinds/)

    task: str
    seeds: Annotated[list[Seed], Field(min_length=1)]

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    layers: Count = 1
    embedding_size: Count
    hidden_size: Count
    match_parameters: str | None = None
    dropout: Fraction = 0.0
    init: Literal["book", "default", "small"] = "book"

    epochs: Count
    batch_size: Count
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop", "muon"]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    schedule: Literal["constant", "one_cycle", "cosine", "on_plateau"] = "constant"
    clip: Positive | None = None
    keep: Annotated[Literal["last", "best", "average", "average_on_plateau"], Neutral("last")] = (
        "last"
    )
    averaged_epochs: Annotated[Count | None, Neutral(None)] = None

    @model_validator(mode="after")
    def _seeds_differ(self) -> "VariantOptions":
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: every seed may stand only once")
        return self

    @model_validator(mode="after")
    def _averaged(self) -> "VariantOptions":
        if (self.keep == "average") != (self.averaged_epochs is not None):
            raise ValueError(
                "averaged_epochs: say of how many, where keep is average, and only there"
            )
        if (self.averaged_epochs or 0) > self.epochs:
            raise ValueError("averaged_epochs: more than epochs")
        return self

    def resized(self, hidden_size: int) -> "VariantOptions":
        """Return the options with another hidden size."""
        return self.model_copy(update={"hidden_size": hidden_size})

    @property
    def size_step(self) -> int:
        """The number by which a hidden size can be divided."""
        return 1

    @property
    def even(self) -> bool:
        """Whether all seeds have batches of the same shapes."""
        return True

    @property
    def sizes(self) -> set[int]:
        """The sizes that parameters of the model have."""
        return {self.embedding_size, self.hidden_size}


class EncoderOptions(VariantOptions):
    """Options of a model that reads a sequence from its first symbol to its last."""

    reverse_source: bool = False
    bidirectional: bool = False
    padding: Literal["plain", "masked"] = "plain"
    embedding: Annotated[Literal["learned", "one_hot"], Neutral("learned")] = "learned"
    double_source: Annotated[bool, Neutral(False)] = False

    @model_validator(mode="after")
    def _halves(self) -> "EncoderOptions":
        if self.bidirectional and self.hidden_size % 2:
            raise ValueError("hidden_size: must be even where bidirectional is true")
        return self

    @property
    def size_step(self) -> int:
        """Two where each direction has half of the hidden size."""
        return 2 if self.bidirectional else 1

    @property
    def sizes(self) -> set[int]:
        """The sizes that parameters of the model have; one-hot vectors have that of the symbols."""
        return {self.hidden_size} if self.embedding == "one_hot" else super().sizes


class PairsOptions(EncoderOptions):
    """Options of a sequence-to-sequence model."""

    kind = "pairs"

    decoder: Literal["plain", "peeky", "attention", "input_feeding", "in_step"] = "plain"
    attention: Annotated[Literal["dot", "general", "additive"], Neutral("dot")] = "dot"
    attention_query: Annotated[Literal["now", "before"], Neutral("now")] = "now"
    bridge: Literal["hidden", "state"] = "hidden"
    teacher_forcing: Annotated[Share, Neutral(1.0)] = 1.0
    teacher_forcing_by: Annotated[Literal["step", "sequence"], Neutral("step")] = "step"
    loss: Annotated[Literal["symbol", "sequence"], Neutral("symbol")] = "symbol"
    label_smoothing: Annotated[Fraction, Neutral(0.0)] = 0.0
    with_replacement: Annotated[bool, Neutral(False)] = False
    curriculum: Annotated[
        Literal["all", "hardest", "naive", "mixed", "combined"], Neutral("all")
    ] = "all"

    @property
    def even(self) -> bool:
        """Whether all seeds have batches of the same shapes: not where each draws its pairs."""
        return not (self.with_replacement and self.padding == "masked")

    @model_validator(mode="after")
    def _one_choice_of_pairs(self) -> "PairsOptions":
        if self.with_replacement and self.curriculum != "all":
            raise ValueError("with_replacement: a curriculum chooses pairs itself; leave one out")
        return self

    @model_validator(mode="after")
    def _attention_is_there(self) -> "PairsOptions":
        looks = self.decoder in ("attention", "input_feeding")
        if not looks and (self.attention, self.attention_query) != ("dot", "now"):
            raise ValueError(
                "attention, attention_query: only where decoder is attention or input_feeding"
            )
        return self


class RepliesOptions(PairsOptions):
    """Options of a sequence-to-sequence model whose answers are one of many that would do."""

    kind = "replies"


class CaptionsOptions(PairsOptions):
    """Options of a model that says what is on a picture."""

    kind = "captions"

    encoder: Annotated[Literal["small", "pretrained"], Neutral("small")] = "small"

    @model_validator(mode="after")
    def _of_sequences(self) -> "CaptionsOptions":
        idle = [n for n in ("reverse_source", "double_source", "bidirectional") if getattr(self, n)]
        if idle:
            raise ValueError(f"{', '.join(idle)}: a picture is not read from one end to the other")
        if self.decoder == "in_step":
            raise ValueError("decoder: in_step answers while it listens; a picture is seen at once")
        return self


class LabelsOptions(EncoderOptions):
    """Options of a model that gives a sequence one of several labels."""

    kind = "labels"

    pooling: Literal["last", "max", "attention"] = "last"


class CorpusOptions(VariantOptions):
    """Options of a language model."""

    kind = "corpus"

    time_steps: Count
    tie_weights: bool = False
    skip_connections: bool = False
    variational_dropout: bool = False
    input_dropout: Annotated[Fraction | None, Neutral(None)] = None
    output_dropout: Annotated[Fraction | None, Neutral(None)] = None
    embedding_dropout: Annotated[Fraction, Neutral(0.0)] = 0.0
    weight_drop: Annotated[Fraction, Neutral(0.0)] = 0.0
    activation_penalty: Annotated[Penalty, Neutral(0.0)] = 0.0
    slowness_penalty: Annotated[Penalty, Neutral(0.0)] = 0.0
    random_time_steps: Annotated[bool, Neutral(False)] = False
    mogrifier_rounds: Annotated[int, Field(ge=0, le=20), Neutral(0)] = 0
    softmaxes: Annotated[Count, Neutral(1)] = 1
    evaluation_batch_size: Annotated[Count, Neutral(1)] = 1

    @model_validator(mode="after")
    def _tied_sizes(self) -> "CorpusOptions":
        if self.tie_weights and self.embedding_size != self.hidden_size:
            raise ValueError("embedding_size: must equal hidden_size where tie_weights is true")
        return self

    @model_validator(mode="before")
    @classmethod
    def _reads_one_way(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("bidirectional"):
            raise ValueError(
                "bidirectional: a language model that reads a text from its end, too, has read the "
                "word that it is to predict"
            )
        return given

    @model_validator(mode="after")
    def _mogrifies_an_lstm(self) -> "CorpusOptions":
        if self.mogrifier_rounds and self.cell != "lstm":
            raise ValueError("mogrifier_rounds: only of cell lstm")
        return self

    def resized(self, hidden_size: int) -> "CorpusOptions":
        """Return the options with another hidden size; a tied embedding follows it."""
        sizes = {"hidden_size": hidden_size}
        if self.tie_weights:
            sizes["embedding_size"] = hidden_size
        return self.model_copy(update=sizes)


OPTIONS: dict[str, type[VariantOptions]] = {
    options.kind: options
    for options in (PairsOptions, RepliesOptions, CaptionsOptions, CorpusOptions, LabelsOptions)
}


def neutral_values(options: type[Strict]) -> dict[str, Any]:
    """Return the neutral value of each option that came later."""
    return {
        name: mark.value
        for name, field in options.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Neutral)
    }


def resolved(options: Strict) -> dict[str, Any]:
    """Return all options of a variant, or of writing, but for later ones that do nothing."""
    neutral = neutral_values(type(options))
    return {
        name: value
        for name, value in options.model_dump().items()
        if not (name in neutral and neutral[name] == value)
    }


PLAIN = {"True": "true", "False": "false", "None": "null"}  # as YAML writes them


def changes(options: Mapping[str, Any], first: Mapping[str, Any]) -> list[str]:
    """Return what a variant's options have that the first's have not, as in a params file.

    Values may be texts, as MLflow keeps them. A later option that is left out does nothing.
    """
    neutral = {name: value for of in OPTIONS.values() for name, value in neutral_values(of).items()}
    left_out = {name: neutral[name] for name in first if name in neutral and name not in options}
    return [
        shown(name, value)
        for name, value in {**options, **left_out}.items()
        if str(value) != str(first.get(name, neutral.get(name)))
    ]


def shown(name: str, value: Any) -> str:
    """Return an option with its value as a params file has them."""
    return f"{name} {PLAIN.get(str(value), value)}"


def values_of(options: VariantOptions, factors: Sequence[str]) -> tuple[Any, ...]:
    """Return the values that a variant has of some options."""
    found = (getattr(options, factor) for factor in factors)
    return tuple(tuple(value) if isinstance(value, list) else value for value in found)


def parse_resolved(kind: str, options: Mapping[str, Any]) -> VariantOptions:
    """Return the options that `resolved` returned for a variant of this kind."""
    known = OPTIONS[kind]
    return known.model_validate({**neutral_values(known), **options})


def search_or_draw(beam_width: int, temperature: float) -> None:
    """Check that not both are asked for.

    Raises:
        ValueError: they are.
    """
    if beam_width > 1 and temperature > 0:
        raise ValueError("beam_width: a beam searches, a temperature draws; choose one")


class Generate(Strict):
    """What the language models write, and how the next word is chosen (generation/sampling.py)."""

    prompts: Annotated[list[str], Field(min_length=1)]
    samples: Count = 1
    length: Count = 100
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    min_p: Annotated[Share, Neutral(0.0)] = 0.0
    repetition_penalty: Annotated[RepetitionPenalty, Neutral(1.0)] = 1.0
    beam_width: Annotated[BeamWidth, Neutral(1)] = 1
    length_penalty: Annotated[LengthPenalty, Neutral(0.0)] = 0.0
    skip: list[str] = []
    seed: Seed = 0

    @model_validator(mode="after")
    def _found_by_one_beam(self) -> "Generate":
        search_or_draw(self.beam_width, self.temperature)
        if 1 < self.beam_width < self.samples:
            raise ValueError(f"samples: a beam of {self.beam_width} finds no more than that")
        return self


MethodName = Literal["cache", "dynamic", "dynamic_rms", "mc_dropout", "temperature"]


class Scoring(Strict):
    """How language models predict a text, beside reading it straight on."""

    methods: list[MethodName] = []
    inside: bool = False  # whether the report looks into the best seed of each

    @model_validator(mode="after")
    def _differ(self) -> "Scoring":
        if len(set(self.methods)) != len(self.methods):
            raise ValueError("methods: every method may stand only once")
        return self


class Comparison(Strict):
    """How the variants are compared with each other."""

    references: dict[str, str] = {}
    questions: dict[str, str] = {}
    factors: Annotated[list[str], Neutral([])] = []
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95


class Checkpointing(Strict):
    """When a training writes down where it stands, to go on from there."""

    every: Count | None = 500  # steps; and at the end of each epoch
