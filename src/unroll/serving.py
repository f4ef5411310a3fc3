"""A trained model as MLflow serves it: text in, answers or continuations out.

MLflow copies this file into each model that it registers and runs it to load the model
("models from code"): what is stored are this text and a run record, nothing is unpickled.

    mlflow models serve -m models:/addition@champion --env-manager local
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from pydantic import ValidationError

from unroll.config import Generate, Options
from unroll.errors import UserError
from unroll.generation.answering import answer_texts
from unroll.generation.sampling import Sampling
from unroll.generation.writing import as_text, encode_prompt, skipped, write
from unroll.models.build import Model
from unroll.record import Record, read_model
from unroll.seeds import torch_generator

TEXT = "text"
RECORD = "record"  # the artifact that holds the run record
REMEDY = "register the model anew: unroll track"
# Of one request:
MOST_ROWS = 10_000
MOST_WORDS = 10_000  # of all its continuations

# What a request may set; the values are what holds where it does not.
DEFAULTS: dict[str, dict[str, Any]] = {
    "pairs": {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0},
    "corpus": {
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "seed": 0,
        "max_length": 60,
        "skip": "<unk> N $",
    },
}
OUTPUTS = {"pairs": "answer", "corpus": "continuation"}
TYPES = {float: DataType.double, int: DataType.long, str: DataType.string}


def signature(kind: str) -> ModelSignature:
    """Return what a model of this kind takes and gives."""
    params = [ParamSpec(name, TYPES[type(v)], v) for name, v in DEFAULTS[kind].items()]
    outputs = [ColSpec(DataType.string, OUTPUTS[kind])]
    outputs.append(ColSpec(DataType.double, "log_probability"))
    return ModelSignature(
        Schema([ColSpec(DataType.string, TEXT)]), Schema(outputs), ParamSchema(params)
    )


def example(record: Record) -> pd.DataFrame:
    """Return an input that the model of a record can answer."""
    symbols = record.vocabulary.symbols
    if record.options.kind == "pairs":
        text = "57+5" if "+" in symbols and record.form["source_length"] > 4 else symbols[0]
    else:
        text = " ".join(symbols[:3])
    return pd.DataFrame({TEXT: [text]})


class Asked(Options):
    """The params of a request, checked as the section `generate` of a params file is."""

    temperature: float
    top_k: int
    top_p: float
    seed: int
    max_length: int = 1
    skip: str = ""

    def checked(self) -> Generate:
        """Return them as options of generation."""
        return Generate(
            prompts=[""],
            length=self.max_length,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            skip=self.skip.split(),
            seed=self.seed,
        )


class Served(PythonModel):  # type: ignore[misc]
    """Answers with the model of a run record."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the run record."""
        torch.set_num_threads(1)  # two are slower for small recurrent nets
        self.record, self.model = read_model(Path(context.artifacts[RECORD]), REMEDY)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Return a row for each row of `model_input`, in its order.

        Raises:
            MlflowException: the request cannot be answered; the server says 400 and why.
        """
        kind = self.record.options.kind
        try:
            options = Asked(**{**DEFAULTS[kind], **(params or {})}).checked()
            rows = _rows(model_input, self.record, self.model, options)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(str(key) for key in fault["loc"])
            message = f"{place.replace('length', 'max_length')}: {fault['msg']}"
            raise MlflowException.invalid_parameter_value(message) from None
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        return pd.DataFrame(rows, columns=[OUTPUTS[kind], "log_probability"])


def _rows(
    table: pd.DataFrame, record: Record, model: Model, options: Generate
) -> list[tuple[str, float]]:
    texts = table[TEXT].tolist()
    if len(texts) > MOST_ROWS:
        raise UserError(f"at most {MOST_ROWS:,} rows in one request, not {len(texts):,}")
    if missing := [i for i, text in enumerate(texts, 1) if not isinstance(text, str)]:
        raise UserError(f"row {missing[0]}: there is no text")
    if len(texts) * options.length > MOST_WORDS:
        asked = f"{len(texts):,} times {options.length:,}"
        raise UserError(f"at most {MOST_WORDS:,} words in one request, not {asked} (max_length)")
    skip = skipped(options.skip, record.vocabulary)
    sampling = Sampling(options.temperature, options.top_k, options.top_p, skip)
    if record.options.kind == "pairs":
        generator = torch_generator(options.seed, "serve")
        return answer_texts(record, model, texts, sampling, generator)
    return [_continue(text, record, model, options, sampling) for text in texts]


def _continue(
    prompt: str, record: Record, model: Model, options: Generate, sampling: Sampling
) -> tuple[str, float]:
    ids = torch.tensor(encode_prompt(prompt, record.vocabulary))
    generator = torch_generator(options.seed, "generate", prompt)
    written = write(model, ids, 1, options.length, sampling, generator)  # type: ignore[arg-type]
    words = record.vocabulary.decode(written.symbols[0].tolist())
    return as_text(prompt, words), float(written.log_probabilities.double().sum())


mlflow.models.set_model(Served())
