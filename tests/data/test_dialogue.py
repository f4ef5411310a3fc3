"""Conversations are read from the package itself, which holds data alone."""

import re

import pytest

from unroll.data import dialogue
from unroll.data.dialogue import conversations
from unroll.errors import DataError, UserError

LANGUAGES = ["english", "korean", "german", "spanish"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_conversations_are_turns_about_topics(language):
    found = conversations(language)
    topics = list(dict.fromkeys(one.topic for one in found))
    assert len(topics) > 3
    assert topics == sorted(topics)  # the order is that of the files' names, on any disk
    assert all(topic.isidentifier() for topic in topics)
    for topic, turns in found:
        assert turns, topic
        assert all(isinstance(turn, str) and turn.strip() for turn in turns), topic


def test_known_conversations_are_there():
    english = conversations("english")
    assert {"ai", "food", "literature", "sports", "trivia"} <= {one.topic for one in english}
    book = [one.topic for one in english if "What is your favorite book?" in one.turns]
    assert book and set(book) == {"conversations"}
    assert len(english) > 1_000
    korean = conversations("korean")
    hangul = [one for one in korean if any("가" <= s <= "힣" for turn in one.turns for s in turn)]
    assert len(hangul) > 0.9 * len(korean) > 300


def test_conversations_are_the_same_each_time():
    assert conversations("korean") == conversations("korean")


@pytest.mark.parametrize(
    ("language", "hint"),
    [("engish", r" \(did you mean english\?\)"), ("xyzzy", ""), ("", ""), ("..", "")],
)
def test_an_unknown_language_is_refused_with_those_that_there_are(language, hint):
    with pytest.raises(
        UserError, match=rf"^language: {re.escape(language)}{hint}; there is .*\bkorean, "
    ):
        conversations(language)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return the folder of a language of a package that stands in place of the real one."""
    folder = tmp_path / "some_corpus" / "data" / "klingon"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(dialogue, "PACKAGE", "some_corpus")
    return folder


def test_turns_are_texts_whatever_yaml_makes_of_them(package):
    (package / "food.yml").write_text("conversations:\n- - 42\n  - gagh\n- alone\n- - nuqneH\n")
    (package / "notes.txt").write_text("no conversations")
    assert conversations("klingon") == [("food", ["42", "gagh"]), ("food", ["nuqneH"])]


@pytest.mark.parametrize("content", ["", "- a\n", "categories: [a]\n", "conversations: a\n"])
def test_a_file_without_conversations_is_refused_by_its_name(package, content):
    (package / "food.yml").write_text(content)
    with pytest.raises(DataError, match=r"food\.yml does not hold conversations"):
        conversations("klingon")


def test_nothing_of_the_package_is_run(package):
    (package.parents[1] / "__init__.py").write_text("raise SystemExit")
    (package / "food.yml").write_text("conversations:\n- [a, b]\n")
    assert conversations("klingon") == [("food", ["a", "b"])]


def test_a_package_that_is_not_there_is_named_with_the_way_out(monkeypatch):
    monkeypatch.setattr(dialogue, "PACKAGE", "no_such_corpus")
    with pytest.raises(UserError, match="chatterbot-corpus is not installed: pip install"):
        conversations("english")
