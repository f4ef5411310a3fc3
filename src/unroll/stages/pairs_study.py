"""The params of a study of somebody's own pairs: defaults that fit their file."""

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from unroll.data.found import read_found
from unroll.data.vocabulary import Unit, split
from unroll.errors import UserError
from unroll.tasks.translation import BUILT_IN

FEWEST = 20  # different sources
MOST_HELD_OUT = 2000
STEPS = 5000  # about so many, whatever the size of the file
BATCH = 64
LONGEST = 1_000  # symbols: who has longer ones knows what it costs, and writes another number


def params_of(path: Path, name: str) -> str:
    """Return the params of a study of the pairs in a file, source and target between tabs.

    Raises:
        UserError: there is no such file, or it holds too few pairs.
        DataError: it is no text.
    """
    if not path.is_file():
        raise UserError(f"{path} is no file; name one with a pair on each line, a tab between")
    if path.as_posix() == BUILT_IN or not all(
        s.isprintable() and s not in '\\"$' for s in str(path)
    ):
        raise UserError(f"a file must not be called {str(path)!r} here; give it another name")
    if path.is_absolute():
        print(f"note: {path} is a path of this machine; others find a path in the project")
    text, _ = read_found(path)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if short := [number for number, line in lines if "\t" not in line]:
        raise UserError(f"{path}, line {short[0]}: no tab between source and target")
    rows = [line.split("\t")[:2] for _, line in lines]
    sources = len({source for source, _ in rows})
    if sources < FEWEST:
        raise UserError(f"{path} has {sources} different sources; at least {FEWEST} are needed")
    (from_unit, longest_source), (to_unit, longest_target) = map(_cut, zip(*rows, strict=True))
    return Template((files("unroll.stages") / "pairs.yaml").read_text(encoding="utf-8")).substitute(
        name=name,
        source=path.as_posix(),
        quoted=json.dumps(path.as_posix(), ensure_ascii=False),
        from_unit=from_unit,
        to_unit=to_unit,
        minimum_count=2 if len(rows) >= 5000 else 1,
        longest_source=longest_source,
        longest_target=longest_target,
        held_out=min(MOST_HELD_OUT, sources // 10),
        batch_size=min(BATCH, max(1, len(rows) // 10)),
        epochs=int(np.clip(STEPS * BATCH // len(rows), 3, 40)),
    )


def _cut(texts: Sequence[str]) -> tuple[Unit, int]:
    """Return what the texts of one side are best cut into, and the length that most have at most.

    Single words are read character by character.
    """
    unit: Unit = "token" if np.median([len(text.split()) for text in texts]) >= 2 else "character"
    longest = np.quantile([len(split(text, unit)) for text in texts], 0.99, method="higher")
    return unit, int(np.clip(longest, 1, LONGEST))
