"""Short conversations in several languages, of the package chatterbot-corpus (BSD licence).

Each file of it holds conversations about one topic, turn by turn; nothing of the package is run.
"""

import importlib.util
from pathlib import Path
from typing import NamedTuple

from unroll.errors import DataError, UserError
from unroll.faults import nearest
from unroll.storage.yaml import read_yaml

PACKAGE = "chatterbot_corpus"


class Conversation(NamedTuple):
    """What was said one after another, and the topic."""

    topic: str
    turns: list[str]


def conversations(language: str) -> list[Conversation]:
    """Return the conversations in a language, which is called by its English name: korean.

    Raises:
        UserError: there are none in this language, or the package is not installed.
        DataError: a file of the package is not as it should be.
    """
    folder = _folder()
    languages = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if language not in languages:
        near = nearest(language, languages)
        raise UserError(f"language: {language}{near}; there is {', '.join(languages)}")
    return [
        conversation
        for path in sorted((folder / language).glob("*.yml"))
        for conversation in _read(path)
    ]


def _folder() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise UserError("the package chatterbot-corpus is not installed: pip install -e .")
    return Path(found.submodule_search_locations[0]) / "data"


def _read(path: Path) -> list[Conversation]:
    raw = read_yaml(path)
    if not isinstance(raw, dict) or not isinstance(raw.get("conversations"), list):
        raise DataError(f"{path} does not hold conversations")
    whole = (turns for turns in raw["conversations"] if isinstance(turns, list))
    return [Conversation(path.stem, [str(turn) for turn in turns]) for turns in whole]
