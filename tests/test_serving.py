"""The registered models behind MLflow's real server, asked over HTTP.

`UNROLL_LOAD=600 pytest -s -n 0 tests/test_serving.py -k load` gives the figures of
docs/reliability.md.
"""

import contextlib
import math
import os
import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests

import unroll
from unroll import kinds, serving
from unroll.errors import UserError
from unroll.options import OPTIONS

pytestmark = pytest.mark.slow

LOAD = float(os.environ.get("UNROLL_LOAD", "5"))  # seconds
CLIENTS = 8
WARM_UP = 1_000  # requests until the server has all its threads


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


def as_pairs(rows: list[dict]) -> list[tuple[str, float]]:
    return [(row["answer"], row["log_probability"]) for row in rows]


def test_answers_are_those_of_unroll_ask(study, addition, monkeypatch):
    monkeypatch.chdir(study.folder)
    questions = ["7+5", "0+0", "9+9"]
    rows = ask(addition, questions)
    assert as_pairs(rows) == unroll.open("toy").best("addition").answers(questions)
    assert study.run("unroll", "--study", "toy", "ask", "7+5").strip() == rows[0]["answer"]
    assert all(row["log_probability"] < 0 for row in rows)


NO_QUESTION = "is no question of this model; it adds two numbers of 1 digit: 7+5"


def test_a_question_with_blanks_is_the_question_without_them(study, addition, monkeypatch):
    """By `unroll ask`, in a notebook and of the served model alike; what is none is refused."""
    monkeypatch.chdir(study.folder)
    model = unroll.open("toy").best("addition")
    expected = model.answers(["7+5"])
    assert model.answers(["7 + 5"]) == expected
    assert as_pairs(ask(addition, ["7 + 5"])) == expected
    assert study.run("unroll", "--study", "toy", "ask", "7 + 5").strip() == expected[0][0]
    refused = study.run("unroll", "--study", "toy", "ask", "7++5", fails=True)
    assert refused == f"error: '7++5' {NO_QUESTION}\n"
    with pytest.raises(UserError, match=re.escape(f"'7++5' {NO_QUESTION}")):
        model.ask("7++5")
    body = {"dataframe_records": [{"text": "7++5"}]}
    answer = requests.post(addition, json=body, timeout=60)
    assert answer.status_code == 400
    assert f"'7++5' {NO_QUESTION}" in answer.json()["message"]


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
        (["7x5"], {}, f"'7x5' {NO_QUESTION}"),
        ([""], {}, f"'' {NO_QUESTION}"),
        (["7+5", "77777+5"], {}, f"'77777+5' {NO_QUESTION}"),
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
        ({"max_length": 1_000_000}, "at most 10,000 words in one request, not 1 times 1,000,000"),
        ({"top_k": -1}, "top_k"),
    ],
    ids=str,
)
def test_bad_params_get_a_4xx_that_says_why(grammar, params, message):
    body = {"dataframe_records": [{"text": "the teacher"}], "params": params}
    answer = requests.post(grammar, json=body, timeout=60)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


def test_many_long_continuations_are_refused_before_one_is_written(grammar):
    rows = [{"text": "the teacher"}] * 1_001
    body = {"dataframe_records": rows, "params": {"max_length": 10}}
    answer = requests.post(grammar, json=body, timeout=60)
    assert answer.status_code == 400
    assert "at most 10,000 words in one request" in answer.json()["message"]


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


def offline(study, requested: list[tuple[list[str], dict]]) -> list[list[dict]]:
    """Return the answers to requests without a server, from the best model of the study."""
    model = unroll.open("toy").best("addition")
    found = []
    for texts, params in requested:
        answers = model.answers(texts, **params)
        rows = [{"answer": a, "log_probability": p, "unknown": []} for a, p in answers]
        found.append(rows)
    return found


def memory(address: str) -> float:
    """Return the megabytes that the processes behind an address hold for themselves."""
    port, held = int(address.partition("127.0.0.1:")[2].partition("/")[0]), 0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(c.laddr and c.laddr.port == port for c in process.net_connections()):
                held += process.memory_full_info().uss
    assert held, "no process listens"
    return held / 1e6


def ask_again_and_again(
    address: str, requested: list[tuple[list[str], dict]], until: float, client: int
) -> list[tuple[int, list[dict]]]:
    """Return which of the requests were sent, one after the other, with their answers."""
    chance, found = random.Random(client), []
    with requests.Session() as session:
        while time.monotonic() < until or len(found) < WARM_UP / CLIENTS:
            number = chance.randrange(len(requested))
            texts, params = requested[number]
            body = {"dataframe_records": [{"text": text} for text in texts], "params": params}
            answer = session.post(address, json=body, timeout=60)
            assert answer.status_code == 200, answer.text
            found.append((number, answer.json()["predictions"]))
    return found


@pytest.mark.long
@pytest.mark.timeout(600 + 2 * LOAD)
def test_under_load_all_answers_are_those_offline_and_memory_does_not_grow(
    study, addition, monkeypatch
):
    monkeypatch.chdir(study.folder)
    chance = random.Random(0)
    requested = [
        (
            [f"{chance.randrange(10)}+{chance.randrange(10)}" for _ in range(rows)],
            {"temperature": temperature, "seed": seed},
        )
        for rows in (1, 2, 10, 50)
        for temperature in (0.0, 1.0)
        for seed in range(4)
    ]
    expected, sizes = offline(study, requested), []
    for seconds in (0.0, LOAD):
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(CLIENTS) as clients:
            parts = [
                clients.submit(ask_again_and_again, addition, requested, until, client)
                for client in range(CLIENTS)
            ]
            found = [pair for part in parts for pair in part.result()]
        assert [answers for _, answers in found] == [expected[number] for number, _ in found]
        sizes.append(memory(addition))
    before, after = sizes
    print(
        f"\n{len(found):,} requests in {LOAD:.0f} s, {before:.1f} MB before, {after:.1f} MB after"
    )
    assert after < 1.05 * before


@pytest.mark.parametrize("name", OPTIONS)
def test_each_kind_says_what_its_models_take_in_types_that_mlflow_has(name):
    kind = kinds.named(name)
    given = {param.name: param.default for param in serving.signature(kind).params.params}
    assert kind.Request.model_validate(given) == kind.Request()
