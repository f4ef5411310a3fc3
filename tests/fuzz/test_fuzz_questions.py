"""What people ask of models: answered, or refused with a message."""

import json
import math
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel, scoring_server

import unroll
from fuzz.trial import attempt, many_examples
from models.toys import lively, write_untrained
from unroll import serving, study
from unroll.api import Model
from unroll.data.corpus import EOS, UNKNOWN, CorpusForm
from unroll.data.vocabulary import Vocabulary
from unroll.errors import DataError, UserError
from unroll.generation.writing import encode_prompt
from unroll.tasks.brackets import LABELS

pytestmark = pytest.mark.filterwarnings("ignore:.*An input example was not provided")

PARAMS = """
tasks:
  addition:
    data: {kind: addition, max_digits: 2, train: 20, valid: 5, test: 5}
    defaults: &learned
      {seeds: [0], embedding_size: 4, hidden_size: 16, epochs: 1, batch_size: 5, optimizer: sgd,
       learning_rate: 0.1}
  brackets:
    data: {kind: brackets, longest: 8, train: 12, valid: 4, test: 4}
    defaults: *learned
  prose:
    data: {kind: text, source: grammar}
    defaults: {<<: *learned, time_steps: 5}
variants:
  adder: {task: addition, bridge: state}
  judge: {task: brackets}
  writer: {task: prose}
"""
WORDS = Vocabulary(
    (EOS, "the", "teacher", UNKNOWN, "naïve", "N", "$"),
    special={"end": EOS, "unknown": UNKNOWN},
    unit="word",
)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """A folder with a study whose models have learned nothing."""
    with pytest.MonkeyPatch.context() as patch:
        made = tmp_path_factory.mktemp("study")
        patch.chdir(made)
        Path("params.yaml").write_text(PARAMS)
        found = study.load()
        form = found.task("addition").prepare().form
        write_untrained(found, "adder", form, lively(form=form))
        write_untrained(found, "judge", found.task("brackets").prepare().form)
        write_untrained(found, "writer", CorpusForm(vocabulary=WORDS))
        yield made


@pytest.fixture(scope="module")
def models(folder) -> dict[str, Model]:
    opened = unroll.open()
    return {variant: opened.model(variant) for variant in opened.variants}


symbols = st.characters(codec=None) | st.sampled_from("0123456789+ _()")
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(symbols, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
numbers = st.integers(0, 99)
questions = st.one_of(
    st.builds("{}+{}".format, numbers, numbers),
    st.builds("{}+{}".format, numbers, numbers),
    st.text(st.sampled_from("0123456789+ _()"), max_size=5) | st.text(symbols, max_size=5),
)
brackets = st.one_of(
    st.text(st.sampled_from("()"), min_size=1, max_size=6),
    st.text(st.sampled_from("()"), min_size=1, max_size=6),
    st.text(st.sampled_from("() [\t"), max_size=8) | st.text(symbols, max_size=5),
)
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


@many_examples
@given(asked=st.lists(questions, max_size=3), choices=st.fixed_dictionaries({}, optional=chosen))
def test_questions(models, asked, choices):
    def check(found: list[tuple[str, float]]) -> None:
        assert len(found) == len(asked)
        for answer, score in found:
            assert set(answer) <= set("0123456789+ _") and len(answer) <= 3
            assert math.isfinite(score) and score <= 0

    adder = models["adder"]
    attempt("questions", (asked, choices), lambda: adder.answers(asked, **choices), check, ASKED)


sums = st.tuples(st.integers(0, 120), st.integers(0, 99))
ways = st.sampled_from(["{}+{}", "{} + {}", " {}+{} ", "{}\u2009+\t{}", "{}＋{}", "{:02}+{}"])


@many_examples
@given(numbers=sums, form=ways)
def test_questions_in_other_forms(models, numbers, form):
    """The same sum has the same answer, however it is written."""
    asked, adder = form.format(*numbers), models["adder"]
    plain = "{:02}+{}" if ":02" in form else "{}+{}"

    def check(found: str) -> None:
        assert max(numbers) < 100
        assert found == adder.ask(plain.format(*numbers))

    attempt("sums", asked, lambda: adder.ask(asked), check, ASKED)


@many_examples
@given(asked=st.lists(brackets, max_size=3))
def test_sequences_to_be_judged(models, asked):
    def check(found: list[tuple[str, float]]) -> None:
        assert len(found) == len(asked)
        assert all(label in LABELS and score <= 0 for label, score in found)
        assert all(set("".join(text.split())) <= set("()") for text in asked)

    attempt("sequences", asked, lambda: models["judge"].answers(asked), check, ASKED)


@many_examples
@given(
    prompt=prompts,
    choices=st.fixed_dictionaries(
        {"length": st.integers(1, 5)}, optional={**chosen, "skip": st.lists(words)}
    ),
)
def test_prompts(models, prompt, choices):
    def read() -> tuple[list[int], list[str]]:
        options = study.generation({"prompts": [prompt], **choices})
        return encode_prompt(prompt, WORDS), models["writer"].continuations(prompt, options)

    def check(found: tuple[list[int], list[str]]) -> None:
        ids, [text] = found
        assert WORDS.decode(ids) == [EOS, *prompt.split()]
        skip = set(choices.get("skip", [])) - set(prompt.split())
        assert not skip & set(text.split())
        text.encode()

    attempt("prompts", (prompt[:300], choices), read, check, ASKED)


@pytest.fixture(scope="module")
def served(folder, models) -> dict[str, PyFuncModel]:
    """Return models as a server loads them."""
    loaded = {}
    for variant, model in models.items():
        mlflow.pyfunc.save_model(
            folder / f"served {variant}",
            python_model=serving.__file__,
            artifacts={serving.RECORD: str(folder / f"data/models/{variant}/seed-0")},
            signature=serving.signature(model.record.kind),
            pip_requirements=["unroll"],
        )
        loaded[variant] = mlflow.pyfunc.load_model(str(folder / f"served {variant}"))
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
            assert set(row["answer"]) <= set("0123456789+ _") and row["log_probability"] <= 0

    attempt("served answers", body, lambda: invoke(served["adder"], body), check, ASKED)


@many_examples
@given(body=bodies(prompts, {**chosen, **longer}))
def test_bodies_with_prompts(served, body):
    def check(found: Any) -> None:
        for row in found:
            assert isinstance(row["continuation"], str) and row["log_probability"] <= 0

    attempt("served texts", body, lambda: invoke(served["writer"], body), check, ASKED)


@many_examples
@given(body=bodies(brackets, chosen))
def test_bodies_with_sequences(served, body):
    def check(found: Any) -> None:
        for row in found:
            assert row["label"] in LABELS and row["log_probability"] <= 0

    attempt("served labels", body, lambda: invoke(served["judge"], body), check, ASKED)
