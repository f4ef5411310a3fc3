"""A copy of the sources that can be edited, and the plans that it makes."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "unroll"


class Asked(NamedTuple):
    """A plan that is asked for: its name, the stage, the kind and options of its variant."""

    name: str
    stage: str  # train, evaluate, evaluate_texts (of a task that keeps them), generate
    kind: str
    options: Mapping[str, Any]


class House:
    """A copy of the sources and a process that computes plans by it."""

    def __init__(self, seconds: int = 60) -> None:
        """Take a copy; of computing, the plans may take so many seconds each time."""
        self._folder = tempfile.TemporaryDirectory()
        # Resolved: the same name as the modules give.
        self.folder = Path(self._folder.name).resolve()
        shutil.copytree(
            SOURCES, self.folder / "unroll", ignore=shutil.ignore_patterns("__pycache__")
        )
        command = [sys.executable, "-m", "compileall", "-q", str(self.folder)]
        subprocess.run(command, check=True)
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("server.py")), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "House":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()
        self._folder.cleanup()

    def text(self, name: str) -> str:
        """Return the text of a source file, as it is now."""
        return (self.folder / "unroll" / name).read_text()

    @contextmanager
    def edited(self, texts: Mapping[str, str]) -> Iterator[None]:
        """Have other texts in source files, named from src/unroll, for the length of a block."""
        there = {name for name in texts if (self.folder / "unroll" / name).exists()}
        before = {name: self.text(name) for name in there}
        try:
            for name, text in texts.items():
                self._write(name, text)
            yield
        finally:
            for name, text in before.items():
                self._write(name, text)
            for name in texts.keys() - there:
                (self.folder / "unroll" / name).unlink()

    def _write(self, name: str, text: str) -> None:
        path = self.folder / "unroll" / name
        path.write_text(text)
        # Python knows compiled files by seconds and size: a small edit may have both.
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()

    def warm(self, asked: Sequence[Asked]) -> None:
        """Let the process import what these plans need, once for all."""
        self._ask({"warm": {"sources": str(self.folder), "plans": asked}})

    def plans(
        self, asked: Sequence[Asked], known: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return `plans` with the digests of each, or `crash`.

        With what is `known`, the first plan that is another one ends it: `changed` names it.
        """
        question = {"sources": str(self.folder), "plans": asked, "known": known or {}}
        return self._ask(question)

    def lines(self, asked: Asked) -> dict[str, Any]:
        """Return `plans` as above, and in `lines` which lines of which files made the plan."""
        return self._ask({"sources": str(self.folder), "plans": [asked], "lines": True})

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(question) + "\n")
        self._server.stdin.flush()
        return dict(json.loads(self._server.stdout.readline()))
