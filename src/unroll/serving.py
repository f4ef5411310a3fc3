"""A trained model as MLflow serves it: text in, answers or continuations out.

MLflow copies this file into each model that it registers and runs it to load the model
("models from code"): what is stored are this text and a run record, nothing is unpickled.

    mlflow models serve -m models:/addition@champion --env-manager local
"""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array
from pydantic import ValidationError

from unroll.conversation import Conversation, Text, begun
from unroll.errors import UserError, remedy
from unroll.kinds.kind import Kind
from unroll.runs.model import TrainedModel, read_model

TEXT = "text"
LOG_PROBABILITY = "log_probability"
UNKNOWN = "unknown"  # the symbols of a text that the model does not know
RECORD = "record"  # the artifact that holds the run record
REMEDY = "register the model anew: unroll track"
# Of one request:
MOST_ROWS = 10_000
MOST_WORDS = 10_000  # of all its continuations
MOST_SESSIONS = 1_000  # that are remembered

TYPES = {
    bool: DataType.boolean, float: DataType.double, int: DataType.long, str: DataType.string,
}  # fmt: skip


def signature(kind: Kind[Any, Any]) -> ModelSignature:
    """Return what a model of this kind takes and gives."""
    defaults = kind.Request().model_dump()
    params = [ParamSpec(name, TYPES[type(v)], v) for name, v in defaults.items()]
    outputs = [
        ColSpec(DataType.string, kind.output),
        ColSpec(DataType.double, LOG_PROBABILITY),
        ColSpec(Array(DataType.string), UNKNOWN),
    ]
    return ModelSignature(
        Schema([ColSpec(DataType.string, TEXT)]), Schema(outputs), ParamSchema(params)
    )


def example(trained: TrainedModel) -> pd.DataFrame:
    """Return an input that a model can answer."""
    return pd.DataFrame({TEXT: [trained.record.kind.example(trained.task, trained.form)]})


class Served(PythonModel):  # type: ignore[misc]
    """Answers with the model of a run record."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the run record."""
        torch.set_num_threads(1)  # two are slower for small recurrent nets
        self.sessions: OrderedDict[str, Conversation | Text] = OrderedDict()  # the latest ones
        with remedy(REMEDY):
            self.trained = read_model(Path(context.artifacts[RECORD]))

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
        kind = self.trained.record.kind
        try:
            request = kind.Request(**(params or {}))
            texts = _texts(model_input, request.words())
            if name := request.conversation():
                session = self._session(name)
                rows = [session.say(text, request) for text in texts]
            else:
                rows = kind.answer(self.trained, texts, request)
            unknown = [kind.unknown(self.trained, text) for text in texts]
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(str(key) for key in fault["loc"])
            raise MlflowException.invalid_parameter_value(f"{place}: {fault['msg']}") from None
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        found = pd.DataFrame(rows, columns=[kind.output, LOG_PROBABILITY])
        found[UNKNOWN] = unknown
        return found

    def _session(self, name: str) -> Conversation | Text:
        """Return what goes on under this name; those that are silent longest are forgotten."""
        found = self.sessions.pop(name, None) or begun(self.trained)
        self.sessions[name] = found
        if len(self.sessions) > MOST_SESSIONS:
            self.sessions.popitem(last=False)
        return found


def _texts(table: pd.DataFrame, words: int) -> list[str]:
    """Return the texts of a request, if it does not ask for too much."""
    texts: list[str] = table[TEXT].tolist()
    if len(texts) > MOST_ROWS:
        raise UserError(f"at most {MOST_ROWS:,} rows in one request, not {len(texts):,}")
    if missing := [i for i, text in enumerate(texts, 1) if not isinstance(text, str)]:
        raise UserError(f"row {missing[0]}: there is no text")
    if len(texts) * words > MOST_WORDS:
        asked = f"{len(texts):,} times {words:,}"
        raise UserError(
            f"at most {MOST_WORDS:,} words in one request, not {asked} (max_length, beam_width)"
        )
    return texts


mlflow.models.set_model(Served())
