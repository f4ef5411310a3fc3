"""The registered models behind MLflow's real server, asked over HTTP."""

import contextlib
import math
from collections.abc import Iterator

import pytest
import requests

pytestmark = pytest.mark.slow


def served(study, model: str) -> contextlib.AbstractContextManager[str]:
    """Return the address of a server for a registered model, as the README starts it."""
    serve = ("mlflow", "models", "serve", "-m", f"models:/{model}@champion")
    return study.served(*serve, "--env-manager", "local", "--port", "{port}", health="/ping")


@pytest.fixture(scope="module")
def study(toy_study, tmp_path_factory):
    """Return a copy that is tracked in its own place, where servers leave what they compile."""
    copy = toy_study.copy(tmp_path_factory.mktemp("served") / "project")
    copy.run("unroll", "--study", "toy", "track")
    return copy


@pytest.fixture(scope="module")
def addition(study) -> Iterator[str]:
    with served(study, "toy-addition") as address:
        yield f"{address}/invocations"


@pytest.fixture(scope="module")
def grammar(study) -> Iterator[str]:
    with served(study, "toy-grammar") as address:
        yield f"{address}/invocations"


def ask(address: str, texts: list, **params) -> list[dict]:
    body = {"dataframe_split": {"columns": ["text"], "data": [[text] for text in texts]}}
    answer = requests.post(address, json={**body, "params": params}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def test_answers_are_those_of_unroll_ask(study, addition):
    questions = ["7+5", "0+0", "9+9"]
    rows = ask(addition, questions)
    for question, row in zip(questions, rows, strict=True):
        offline = study.run("unroll", "--study", "toy", "ask", question).strip()
        assert row["answer"] == offline
        assert row["log_probability"] < 0


def test_a_seed_repeats_an_answer_that_is_drawn(addition):
    one, same, other = (ask(addition, ["7+5"] * 20, temperature=2.0, seed=s) for s in (1, 1, 2))
    assert one == same
    assert one != other


def test_continuations_are_those_of_unroll_complete(study, grammar):
    command = ("unroll", "--study", "toy", "complete", "the teacher", "--length", "8")
    offline = study.run(*command, "--temperature", "0", "--skip", "<unk>").strip()
    [row] = ask(grammar, ["the teacher"], max_length=8, temperature=0.0)
    assert row["continuation"] == offline
    assert row["log_probability"] < 0


def test_params_shape_a_continuation(grammar):
    [drawn] = ask(grammar, ["the teacher"], max_length=5, seed=3)
    [longer] = ask(grammar, ["the teacher"], max_length=30, seed=3)
    assert longer["continuation"].startswith(drawn["continuation"])
    [without] = ask(grammar, ["the teacher"], max_length=30, seed=3, skip="the a")
    assert " the " not in without["continuation"].removeprefix("the teacher")
    assert math.isfinite(without["log_probability"])


@pytest.mark.parametrize(
    ("texts", "params", "message"),
    [
        (["7x5"], {}, "'x' is not in the vocabulary"),
        ([""], {}, "line 1: empty"),
        (["7+5", "77777+5"], {}, "line 2: '77777+5' has 7 symbols, at most 3 fit"),
        ([None], {}, "row 1: there is no text"),
        ([["7+5"]], {}, "row 1: there is no text"),
        (["7+5"], {"temperature": -1.0}, "temperature"),
        (["7+5"], {"temperature": "warm"}, "temperature"),
        (["7+5"], {"top_p": 0.0}, "top_p"),
        (["7+5"], {"seed": -1}, "seed"),
        (["7+5"] * 10_001, {}, "at most 10,000 rows"),
    ],
    ids=str,
)
def test_a_bad_question_gets_a_4xx_that_says_why(addition, texts, params, message):
    body = {"dataframe_records": [{"text": text} for text in texts], "params": params}
    answer = requests.post(addition, json=body, timeout=60)
    assert 400 <= answer.status_code < 500
    assert message in answer.json()["message"]
    assert ask(addition, ["7+5"])  # and the server is well


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_length": 0}, "max_length"),
        ({"max_length": 1_000_000}, "at most 1,000 words"),
        ({"top_k": -1}, "top_k"),
    ],
    ids=str,
)
def test_bad_params_get_a_4xx_that_says_why(grammar, params, message):
    body = {"dataframe_records": [{"text": "the teacher"}], "params": params}
    answer = requests.post(grammar, json=body, timeout=60)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


def test_an_unknown_word_gets_a_4xx_with_its_neighbours(grammar):
    body = {"dataframe_records": [{"text": "the techer"}]}
    answer = requests.post(grammar, json=body, timeout=60)
    assert answer.status_code == 400
    assert "near it are teacher" in answer.json()["message"]


@pytest.mark.parametrize("body", ["", "rubbish", "[]", "{}", '{"inputs": 3}', '{"x": [1]}'])
def test_a_body_that_is_no_table_gets_a_4xx(addition, body):
    answer = requests.post(
        addition, data=body, headers={"Content-Type": "application/json"}, timeout=60
    )
    assert 400 <= answer.status_code < 500
    assert "Traceback" not in answer.text
