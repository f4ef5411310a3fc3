"""Conversations: in a notebook, with a served model, and by `unroll chat`."""

import signal
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModelContext

from models.toys import (
    corpus_form,
    corpus_options,
    language_model,
    lively,
    replies_options,
    trained,
    write_untrained,
)
from unroll import conversation, serving, tasks
from unroll import study as params
from unroll.cli import main
from unroll.conversation import Conversation, Text, begun
from unroll.data.pairs import PairsForm, from_translations
from unroll.errors import UserError
from unroll.kinds import named
from unroll.kinds.corpus import CorpusRequest
from unroll.kinds.replies import RepliesKind, RepliesRequest
from unroll.lifetime import SIGNALS
from unroll.options import OPTIONS
from unroll.runs.model import TrainedModel, write_model
from unroll.serving import LOG_PROBABILITY, RECORD, UNKNOWN, Served
from unroll.tasks.dialogue import Dialogue, DialogueOptions

KIND, PLAIN, DRAWN = RepliesKind(), RepliesRequest(), RepliesRequest(temperature=2.0)
LETTERS = "abcdefgh"


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Compute with one thread, as a served model does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def form(longest: int = 60) -> PairsForm:
    """Return a form that knows eight letters and the sign between turns."""
    rows = [(" ".join([*LETTERS, "¶"]), " ".join(LETTERS[:3]))]
    found = from_translations(dict.fromkeys(("train", "valid", "test"), rows), ("token",) * 2, {})
    return found.form.model_copy(update={"source_width": longest})


def talker(turns_before: int = 2, longest: int = 60, **options) -> TrainedModel:
    """Return a model whose replies depend on all that it reads."""
    said = {"kind": "dialogue", "turns_before": turns_before, "punctuation": "strip"}
    task = Dialogue(DialogueOptions.model_validate({**said, **options}))
    known = form(longest)
    model = lively(form=known, padding="masked", decoder="attention")
    made = replies_options(padding="masked", decoder="attention", hidden_size=16, bridge="state")
    return trained(model, made, known, task)


def says(model: TrainedModel, text: str, **request) -> str:
    """Return the reply to a text that stands alone."""
    [(answer, _)] = KIND.answer(model, [text], RepliesRequest(**request))
    return answer


# A conversation


def test_each_turn_is_read_with_those_before_it():
    model = talker()
    talk = Conversation(model)
    first, score = talk.say("a b", PLAIN)
    assert [(first, score)] == KIND.answer(model, ["a b"], PLAIN)
    second, score = talk.say("c", PLAIN)
    assert [(second, score)] == KIND.answer(model, [f"a b ¶ {first} ¶ c"], PLAIN)
    third, _ = talk.say("d", PLAIN)
    assert third == says(model, f"c ¶ {second} ¶ d")
    assert talk.turns == ["a b", first, "c", second, "d", third]


def test_what_was_said_before_makes_a_difference():
    model = talker()
    replies = set()
    for before in LETTERS:
        talk = Conversation(model)
        talk.say(before, PLAIN)
        replies.add(talk.say("a", PLAIN))
    assert len(replies) > 2


def test_a_model_that_reads_one_turn_forgets_those_before_it():
    model = talker(turns_before=0)
    talk = Conversation(model)
    for text in ("a", "b c", "a", "d", "a"):
        assert talk.say(text, PLAIN) == KIND.answer(model, [text], PLAIN)[0]


def test_two_conversations_with_one_model_do_not_hear_each_other():
    model = talker()
    one, other = Conversation(model), Conversation(model)
    found = [(one.say(a, PLAIN), other.say(b, PLAIN)) for a, b in zip("abc", "def", strict=True)]
    assert [of for of, _ in found] == talked(*"abc")
    assert [of for _, of in found] == talked(*"def")


def test_no_more_turns_are_kept_than_is_said(monkeypatch):
    monkeypatch.setattr(conversation, "MOST", 4)
    talk, said = Conversation(talker()), []
    for text in LETTERS:
        said += [text, talk.say(text, PLAIN)[0]]
        assert talk.turns == said[-4:]


def test_turns_that_are_drawn_are_those_of_the_seed():
    def drawn(seed: int) -> list[str]:
        talk = Conversation(talker())
        request = RepliesRequest(temperature=2.0, seed=seed)
        return [talk.say(text, request)[0] for text in LETTERS]

    assert drawn(1) == drawn(1) != drawn(2)


def test_each_turn_is_drawn_anew():
    talk = Conversation(talker(turns_before=0))
    replies = {talk.say("a", DRAWN)[0] for _ in range(6)}
    assert len(replies) > 1
    likeliest = Conversation(talker(turns_before=0))
    assert len({likeliest.say("a", PLAIN) for _ in range(6)}) == 1


def test_each_turn_is_drawn_anew_also_where_as_many_are_kept_as_can_be(monkeypatch):
    monkeypatch.setattr(conversation, "MOST", 2)
    talk = Conversation(talker(turns_before=0))
    replies = [talk.say("a", DRAWN) for _ in range(8)]
    assert len(set(replies[1:])) > 1


def test_the_last_seed_that_there_is_can_be_asked_for_all_turns():
    talk = Conversation(talker())
    request = RepliesRequest(temperature=2.0, seed=2**63 - 1)
    assert len([talk.say(text, request) for text in "abc"]) == 3


def test_a_beam_searches_for_each_turn():
    model = talker()
    talk, request = Conversation(model), RepliesRequest(beam_width=3)
    first, _ = talk.say("a", request)
    assert talk.say("b", request) == KIND.answer(model, [f"a ¶ {first} ¶ b"], request)[0]


@pytest.mark.parametrize("text", ["", " ", "?!", "¶"])
def test_nothing_is_no_turn_and_is_not_remembered(text):
    talk, other = (Conversation(talker()) for _ in range(2))
    expected = [other.say(said, PLAIN) for said in "ab"]
    assert talk.say("a", PLAIN) == expected[0]
    with pytest.raises(UserError, match="has nothing in it to reply to"):
        talk.say(text, PLAIN)
    assert talk.say("b", PLAIN) == expected[1]


def test_that_there_is_nothing_to_reply_to_is_told_of_the_text_alone():
    talk = Conversation(talker())
    talk.say("a", PLAIN)
    with pytest.raises(UserError) as caught:
        talk.say("?!", PLAIN)
    assert str(caught.value) == "'?!' has nothing in it to reply to"


def test_a_text_that_is_too_long_is_refused_and_not_remembered():
    talk = Conversation(talker(longest=3))
    with pytest.raises(UserError, match="has 4 symbols, at most 3"):
        talk.say("a b c d", PLAIN)
    assert talk.turns == []


def test_a_text_is_replied_to_however_long_what_was_said_before_is():
    """Earlier turns that do not fit are left out: else nobody could go on."""
    model = talker(longest=4)
    talk = Conversation(model)
    talk.say("a b c d", PLAIN)
    assert talk.say("b c d", PLAIN)[0] == says(model, "b c d")


# Sessions of a served model


@pytest.fixture
def served(tmp_path) -> Served:
    """Return a model that is served, as MLflow loads it."""
    write_model(tmp_path / "record", talker())
    found = Served()
    found.load_context(PythonModelContext({RECORD: str(tmp_path / "record")}, None))
    return found


def asked(model: Served, *texts: str, **request) -> list[tuple[str, float]]:
    table = pd.DataFrame({"text": texts})
    found = model.predict(None, table, request or None)
    assert list(found.columns) == ["answer", LOG_PROBABILITY, UNKNOWN]
    return list(found.drop(columns=UNKNOWN).itertuples(index=False, name=None))


def test_a_served_model_names_the_words_that_it_does_not_know(served):
    for request in ({}, {"session": "one"}):
        found = served.predict(None, pd.DataFrame({"text": ["a qwerty Ω", "b"]}), request)
        assert found[UNKNOWN].tolist() == [["qwerty", "Ω"], []]


def talked(*texts: str, **request) -> list[tuple[str, float]]:
    """Return what a conversation of these turns alone is answered."""
    talk = Conversation(talker())
    return [talk.say(text, RepliesRequest(**request)) for text in texts]


def test_turns_of_a_session_are_read_with_those_before_them(served):
    found = [asked(served, text, session="x")[0] for text in "abc"]
    assert found == talked(*"abc")
    assert found[1:] != [asked(served, text)[0] for text in "bc"]


def test_rows_of_one_request_are_turns_one_after_another(served):
    assert asked(served, *"abc", session="x") == talked(*"abc")
    assert asked(served, "d", session="x") == talked(*"abcd")[-1:]


def test_two_sessions_do_not_hear_each_other(served):
    found = {"x": [], "y": []}
    for one, other in zip("abcd", "efgh", strict=True):
        found["x"] += asked(served, one, session="x")
        found["y"] += asked(served, other, session="y")
    assert found == {"x": talked(*"abcd"), "y": talked(*"efgh")}


def test_without_a_session_nothing_is_remembered(served):
    for request in ({}, {"session": ""}):
        for (found, score), text in zip(asked(served, *"abca", **request), "abca", strict=True):
            [(expected, expected_score)] = talked(text)
            assert (found, score) == (expected, pytest.approx(expected_score, rel=1e-5))
    assert not served.sessions
    asked(served, "a", session="x")
    assert asked(served, "b") == talked("b")


def test_the_session_that_is_silent_longest_is_forgotten(served, monkeypatch):
    monkeypatch.setattr(serving, "MOST_SESSIONS", 2)
    for name in "xyxz":  # of x, y and z it is y that was silent longest
        asked(served, "a", session=name)
    assert asked(served, "b", session="x") == talked("a", "a", "b")[-1:]
    assert asked(served, "b", session="z") == talked("a", "b")[-1:]
    assert asked(served, "b", session="y") == talked("b")
    assert len(served.sessions) == 2


def test_a_session_draws_by_its_seed(served):
    drawn = {"temperature": 2.0, "seed": 3}
    one = asked(served, *"abc", session="x", **drawn)
    assert one == asked(served, *"abc", session="y", **drawn) == talked(*"abc", **drawn)
    assert one != asked(served, *"abc", session="z", temperature=2.0, seed=4)


@pytest.mark.parametrize(
    ("request_", "text", "message"),
    [
        ({"session": "x"}, "?!", "has nothing in it to reply to"),
        ({"session": 7}, "a", "session: Input should be a valid string"),
        ({"session": "x", "seed": -1}, "a", "seed: "),
        ({"session": "x"}, None, "row 1: there is no text"),
    ],
)
def test_what_cannot_be_asked_of_a_session_is_refused_and_it_goes_on(
    served, request_, text, message
):
    asked(served, "a", session="x")
    with pytest.raises(MlflowException, match=message) as caught:
        asked(served, text, **request_)
    assert caught.value.get_http_status_code() == 400
    assert asked(served, "b", session="x") == talked("a", "b")[-1:]


def test_a_session_is_named_in_the_signature_of_what_converses_alone():
    assert KIND.converses
    names = [param.name for param in serving.signature(KIND).params.params]
    assert "session" in names
    request = RepliesRequest(session="x")
    assert (request.conversation(), PLAIN.conversation()) == ("x", "")


# Sessions of a served language model


def lm() -> TrainedModel:
    """Return a language model as if it had been trained."""
    task = tasks.named("text")
    prose = task(task.Options.model_validate({"kind": "text", "source": "grammar"}))
    return trained(language_model(layers=2), corpus_options(layers=2), corpus_form(), prose)


@pytest.fixture
def writer(tmp_path) -> Served:
    """Return a language model that is served, as MLflow loads it."""
    write_model(tmp_path / "writer", lm())
    found = Served()
    found.load_context(PythonModelContext({RECORD: str(tmp_path / "writer")}, None))
    return found


def written(model: Served, *texts: str, **request) -> list[str]:
    table = pd.DataFrame({"text": texts})
    return model.predict(None, table, {"skip": "", **request})["continuation"].tolist()


@pytest.mark.parametrize("way", [{}, {"temperature": 0.0}, {"seed": 4, "repetition_penalty": 2.0}])
def test_a_text_of_a_session_goes_on_where_it_stood(writer, way):
    [whole] = written(writer, "w1 w2", max_length=12, **way)
    session = {"session": "x", "max_length": 4, **way}
    assert (
        "".join(written(writer, "w1 w2", **session) + written(writer, "", "", **session)) == whole
    )
    [begun_anew] = written(writer, "w1 w2", **{**session, "session": "y"})
    assert whole.startswith(begun_anew)


def test_what_is_given_to_a_session_is_read_behind_what_stands_there(writer):
    text, asked_for = Text(lm()), {"max_length": 3, "temperature": 0.0}
    request = CorpusRequest(skip="", **asked_for)
    expected = [text.say(given, request)[0] for given in ("w1", "w4 w5", "")]
    assert written(writer, "w1", "w4 w5", "", session="x", **asked_for) == expected
    assert expected[1].lstrip().startswith("w4 w5")


def test_a_word_that_is_unknown_is_refused_and_the_text_goes_on(writer):
    asked_for = {"session": "x", "max_length": 4}
    [first] = written(writer, "w1", **asked_for)
    with pytest.raises(MlflowException, match="does not know the word 'w99'") as caught:
        written(writer, "w99", **asked_for)
    assert caught.value.get_http_status_code() == 400
    assert first + written(writer, "", **asked_for)[0] == written(writer, "w1", max_length=8)[0]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"beam_width": 2}, "beam_width: a beam searches, a temperature draws; choose one"),
        ({"min_p": 2.0}, "min_p: "),
        ({"repetition_penalty": 0.5}, "repetition_penalty: "),
        ({"temperature": 0.0, "beam_width": 100, "max_length": 101}, "not 1 times 10,100"),
    ],
)
def test_what_a_language_model_cannot_be_asked_for_is_refused(writer, request_, message):
    with pytest.raises(MlflowException, match=message) as caught:
        written(writer, "w1", session="x", **request_)
    assert caught.value.get_http_status_code() == 400


def test_what_remembers_is_of_the_kind_of_its_model():
    assert isinstance(begun(lm()), Text)
    assert isinstance(begun(talker()), Conversation)
    names = {
        kind: [p.name for p in serving.signature(named(kind)).params.params] for kind in OPTIONS
    }
    assert {kind for kind, of in names.items() if "session" in of} == {"replies", "corpus"}


# unroll chat

PARAMS = """\
tasks:
  talk:
    data: {kind: dialogue, turns_before: 2, punctuation: strip}
    defaults: &defaults
      seeds: [0]
      embedding_size: 4
      hidden_size: 16
      padding: masked
      bridge: state
      decoder: attention
      epochs: 1
      batch_size: 4
      optimizer: sgd
      learning_rate: 0.1
  sums:
    data: {kind: addition}
    defaults: *defaults
variants:
  adder: {task: sums}
  talker: {task: talk}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a study that has a model of dialogue."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNROLL_STUDY", raising=False)
    Path("params.yaml").write_text(PARAMS)
    made = talker()
    write_untrained(params.load(), "talker", made.form, made.model)
    return tmp_path


@pytest.fixture(autouse=True)
def own_signals():
    """Leave the signals of this process to pytest: the command line takes them for good."""
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    handlers, told = {number: signal.getsignal(number) for number in numbers}, sys.unraisablehook
    yield
    sys.unraisablehook = told
    for number, handler in handlers.items():
        signal.signal(number, handler)


def chat(*lines: str, options=(), end: str = "\n"):
    """Return what comes of a chat of these lines."""
    typed = "\n".join(lines) + (end if lines else "")
    return CliRunner().invoke(main, ["chat", *options], input=typed, prog_name="unroll")


def replies(result) -> list[str]:
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.splitlines()


def answers(*texts: str, **request) -> list[str]:
    return [answer for answer, _ in talked(*texts, **request)]


def test_each_line_is_replied_to_and_the_end_of_the_input_ends(project):
    assert replies(chat(*"abc")) == answers(*"abc")
    assert replies(chat(*"abc", end="")) == answers(*"abc")
    assert replies(chat()) == []


def test_bye_ends_and_is_not_replied_to(project):
    assert replies(chat("a", "/bye", "b")) == answers("a")
    assert replies(chat("a", "  /bye ", "b")) == answers("a")
    assert replies(chat("/bye")) == []


def test_new_begins_anew(project):
    assert replies(chat("a", "b", "/new", "b", "c")) == [*answers("a", "b"), *answers("b", "c")]
    assert answers("a", "b")[-1] != answers("b")[-1]


def test_an_empty_line_is_passed_over(project):
    assert replies(chat("", "a", "", "  ", "b")) == answers("a", "b")


def test_of_a_line_with_nothing_to_reply_to_is_told_and_the_talk_goes_on(project):
    result = chat("a", "?!", "b")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == answers("a", "b")
    [told] = result.stderr.splitlines()
    assert told.endswith("has nothing in it to reply to")


def test_unknown_words_are_replied_to(project):
    result = chat("a qwerty Ω b qwerty", "b")
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr.splitlines() == ["unknown to this model: qwerty, Ω"]


def test_a_line_that_is_no_text_ends_in_no_traceback(project):
    result = CliRunner().invoke(main, ["chat"], input=b"a\n\xff\nb\n", prog_name="unroll")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stderr.count("error: ") == (result.exit_code != 0)


def test_options_say_how_replies_are_found(project):
    drawn = {"temperature": 2.0, "top_k": 4, "top_p": 0.9, "seed": 3}
    options = ["--temperature", "2", "--top-k", "4", "--top-p", "0.9", "--seed", "3"]
    found = replies(chat(*"abc", options=options))
    assert found == answers(*"abc", **drawn) != answers(*"abc")
    searched = replies(chat(*"abc", options=["--beam-width", "3"]))
    assert searched == answers(*"abc", beam_width=3)
    assert replies(chat("a", options=["--variant", "talker"])) == answers("a")
    assert replies(chat("a", options=["--task", "talk"])) == answers("a")


def fails(result, exit_code: int = 2) -> str:
    """Return the one message with which a command ends."""
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr.count("error: ") == 1
    return result.stderr.removeprefix("error: ").removesuffix("\n")


def test_a_study_without_a_dialogue_says_so(project):
    Path("params.yaml").write_text(PARAMS.replace("  talker: {task: talk}\n", ""))
    assert fails(chat("a")) == "params.yaml has no variant that can do this"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--variant", "adder"], "adder cannot do this; choose one of talker"),
        (["--variant", "tolker"], "params.yaml has no variant 'tolker' (did you mean talker?)"),
        (["--task", "sums"], "params.yaml has no variant of sums that can do this"),
        (["--task", "tolk"], "params.yaml has no task 'tolk' (did you mean talk?)"),
    ],
)
def test_who_cannot_talk_is_refused(project, options, message):
    assert fails(chat("a", options=options)).startswith(message)


def test_what_cannot_be_asked_for_is_refused_before_a_line_is_read(project):
    found = fails(chat("a", options=["--beam-width", "2", "--temperature", "1"]))
    assert "beam_width: a beam searches, a temperature draws; choose one" in found


def test_a_dialogue_that_nobody_has_learned_tells_what_to_run(project):
    (project / "data" / "models" / "talker").rename(project / "elsewhere")
    assert fails(chat("a"), 1).startswith("no trained model of talker yet; run: dvc repro")


@pytest.mark.parametrize(
    "option", [["--temperature", "-1"], ["--top-p", "0"], ["--beam-width", "0"], ["--seed", "-1"]]
)
def test_options_out_of_range_are_named(project, option):
    result = chat("a", options=option)
    assert result.exit_code == 2
    assert f"Invalid value for '{option[0]}'" in result.stderr
