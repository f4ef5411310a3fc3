"""What people ask of models: answered, or refused with a message."""

import json
import math
from typing import Any

import mlflow.pyfunc
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel, scoring_server

from fuzz.trial import attempt, many_examples
from models.toys import DIGITS, corpus_options, language_model, lively, pairs_options, subject
from unroll import study, serving
from unroll.data.corpus import EOS
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError, UserError
from unroll.generation.answering import answer_texts
from unroll.generation.sampling import Sampling
from unroll.generation.writing import encode_prompt
from unroll.models.build import Model
from unroll.runs.record import Record, write_record
from unroll.seeds import torch_generator
from unroll.stages.generate import continuations

pytestmark = pytest.mark.filterwarnings("ignore:.*An input example was not provided")

HISTORY = pd.DataFrame({"epoch": [1], "train_loss": [0.5]})
WORDS = Vocabulary((EOS, "the", "teacher", "<unk>", "naïve", "N", "$"))

symbols = st.characters(codec=None) | st.sampled_from(DIGITS.symbols)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(symbols, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
questions = st.text(st.sampled_from(DIGITS.symbols), max_size=5) | st.text(symbols, max_size=5)
words = st.sampled_from([*WORDS.symbols, "techer", "The", "\x00", "w" * 50_000])
prompts = st.lists(words, max_size=4).map(" ".join) | st.text(symbols)
# How the next symbol is chosen: all that a params file or a request may say, and more.
ASKED = (DataError, UserError)  # a question is like data, an option is part of the command

chosen = {
    "temperature": st.floats() | st.floats(0, 3) | st.sampled_from([0.0, 1e-50, 1e-320, 1e308]),
    "top_k": st.integers(-1, 9) | st.integers(),
    "top_p": st.floats() | st.floats(0, 1) | st.sampled_from([1e-300, 1e-46, 1.0]),
    "seed": st.integers(-1, 9) | st.integers(),
}


def answering() -> tuple[Record, Model]:
    options = pairs_options(hidden_size=16, bridge="state")
    form = {"source_length": 4, "target_length": 5, "start": "_"}
    return Record(subject(options), 3, 9, form, DIGITS, HISTORY), lively()


def writing() -> tuple[Record, Model]:
    model = language_model(len(WORDS)).eval()
    return Record(subject(corpus_options()), 3, 9, {}, WORDS, HISTORY), model


@many_examples
@given(asked=st.lists(questions, max_size=3), choices=st.fixed_dictionaries({}, optional=chosen))
def test_questions(asked, choices):
    record, model = answering()

    def read() -> list[tuple[str, float]]:
        options = config.generate({"prompts": [""], **choices})
        sampling = Sampling(options.temperature, options.top_k, options.top_p)
        generator = torch_generator(options.seed, "ask")
        return answer_texts(record, model, asked, sampling, generator)

    def check(found: list[tuple[str, float]]) -> None:
        assert len(found) == len(asked)
        for answer, score in found:
            assert set(answer) <= set(DIGITS.symbols) and len(answer) <= 4
            assert math.isfinite(score) and score <= 0

    attempt("questions", (asked, choices), read, check, ASKED)


@many_examples
@given(
    prompt=prompts,
    choices=st.fixed_dictionaries(
        {"length": st.integers(1, 5)}, optional={**chosen, "skip": st.lists(words)}
    ),
)
def test_prompts(prompt, choices):
    record, model = writing()

    def read() -> tuple[list[int], list[str]]:
        options = config.generate({"prompts": [prompt], **choices})
        return encode_prompt(prompt, WORDS), continuations(record, model, prompt, options)

    def check(found: tuple[list[int], list[str]]) -> None:
        ids, [text] = found
        assert WORDS.decode(ids) == [EOS, *prompt.split()]
        skip = set(choices.get("skip", [])) - set(prompt.split())
        assert not skip & set(text.split())
        text.encode()

    attempt("prompts", (prompt[:300], choices), read, check, ASKED)


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> dict[str, PyFuncModel]:
    """Return models as a server loads them."""
    folder, loaded = tmp_path_factory.mktemp("served"), {}
    for kind, (record, model) in {"pairs": answering(), "corpus": writing()}.items():
        write_record(folder / kind, record, model)
        mlflow.pyfunc.save_model(
            folder / f"{kind} model",
            python_model=serving.__file__,
            artifacts={serving.RECORD: str(folder / kind)},
            signature=serving.signature(kind),
            pip_requirements=["unroll"],
        )
        loaded[kind] = mlflow.pyfunc.load_model(str(folder / f"{kind} model"))
    return loaded


def invoke(model: PyFuncModel, body: str) -> Any:
    """Return what a server says to a body; what it says no to is an error of the user."""
    schema = model.metadata.get_input_schema()
    try:
        answer = scoring_server.invocations(body, "application/json", model, schema)
    except MlflowException as error:
        if error.json_kwargs.get("stack_trace"):
            raise RuntimeError(error.json_kwargs["stack_trace"]) from None
        assert error.get_http_status_code() == 400
        raise UserError(error.message) from None
    assert answer.status == 200
    return json.loads(answer.response)["predictions"]


def bodies(texts: st.SearchStrategy[str], params: dict[str, Any]) -> st.SearchStrategy[str]:
    """Return requests: most of them of the right form, some of any."""
    values = st.one_of(texts, texts, texts, anything)
    rows = st.lists(values, min_size=1, max_size=3)
    told = st.fixed_dictionaries({}, optional=params) | anything
    split = rows.map(lambda rows: {"columns": ["text"], "data": [[row] for row in rows]})
    records = rows.map(lambda rows: [{"text": row} for row in rows])
    forms = st.one_of(
        st.fixed_dictionaries({"dataframe_split": split}, optional={"params": told}),
        st.fixed_dictionaries({"dataframe_records": records}, optional={"params": told}),
        st.fixed_dictionaries({"inputs": records | rows | anything}, optional={"params": told}),
        st.fixed_dictionaries({"dataframe_split": anything, "params": told}),
        anything,
    )
    return forms.map(json.dumps) | st.text(max_size=20)


longer = {"max_length": st.integers(0, 9) | st.integers(), "skip": prompts}


@many_examples
@given(body=bodies(questions, chosen))
def test_bodies_with_questions(served, body):
    def check(found: Any) -> None:
        for row in found:
            assert set(row["answer"]) <= set(DIGITS.symbols) and row["log_probability"] <= 0

    attempt("served answers", body, lambda: invoke(served["pairs"], body), check, ASKED)


@many_examples
@given(body=bodies(prompts, {**chosen, **longer}))
def test_bodies_with_prompts(served, body):
    def check(found: Any) -> None:
        for row in found:
            assert isinstance(row["continuation"], str) and row["log_probability"] <= 0

    attempt("served texts", body, lambda: invoke(served["corpus"], body), check, ASKED)
