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

FEWEST = 20  # different sources
MOST_HELD_OUT = 2000
STEPS = 5000  # about so many, whatever the size of the file
BATCH = 64


def params_of(path: Path, name: str) -> str:
    """Return the params of a study of the pairs in a file, source and target between tabs.

    Raises:
        UserError: there is no such file, or it holds too few pairs.
        DataError: it is no text.
    """
    if not path.is_file():
        raise UserError(f"{path} is no file; name one with a pair on each line, a tab between")
    if path.is_absolute():
        print(f"note: {path} is a path of this machine; others find a path in the project")
    text, _ = read_found(path)
    rows = [line.split("\t")[:2] for line in text.split("\n") if line.strip()]
    if short := [number for number, row in enumerate(rows, 1) if len(row) < 2]:
        raise UserError(f"{path}: pair {short[0]} has no tab between source and target")
    sources = len({source for source, _ in rows})
    if sources < FEWEST:
        raise UserError(f"{path} has {sources} different sources; at least {FEWEST} are needed")
    unit = _unit([target for _, target in rows])
    lengths = np.array([[len(split(side, unit)) for side in row] for row in rows])
    longest = np.quantile(lengths, 0.99, axis=0, method="higher").clip(1)
    return Template((files("unroll.stages") / "pairs.yaml").read_text(encoding="utf-8")).substitute(
        name=name,
        source=path.as_posix(),
        quoted=json.dumps(path.as_posix(), ensure_ascii=False),
        unit=unit,
        minimum_count=2 if len(rows) >= 5000 else 1,
        longest_source=int(longest[0]),
        longest_target=int(longest[1]),
        held_out=min(MOST_HELD_OUT, sources // 10),
        batch_size=min(BATCH, max(1, len(rows) // 10)),
        epochs=int(np.clip(STEPS * BATCH // len(rows), 3, 40)),
    )


def _unit(texts: Sequence[str]) -> Unit:
    """Return what texts are best cut into: single words are read character by character."""
    return "token" if np.median([len(text.split()) for text in texts]) >= 2 else "character"
