"""What tests of sweeps share: a study whose data are prepared, and space files for it."""

import os
import shutil
from pathlib import Path

import pytest

from models.toys import one_thread
from postgres import postgres_address
from unroll.stages.prepare import prepare
from unroll.study import Study, load

__all__ = ["one_thread", "postgres_address"]

PARAMS = """\
compute: {device: cpu, precision: float32}
tasks:
  sums:
    data: {kind: addition, max_digits: 1, train: 30, valid: 10, test: 10}
    defaults:
      seeds: [3, 4]
      embedding_size: 4
      hidden_size: 8
      epochs: 3
      batch_size: 5
      optimizer: adam
      learning_rate: 0.01
  lines:
    data: {kind: text, source: grammar, sentences: 300}
    defaults:
      seeds: [0]
      embedding_size: 4
      hidden_size: 4
      epochs: 1
      batch_size: 2
      time_steps: 5
      optimizer: sgd
      learning_rate: 1.0
variants:
  plain: {task: sums, dropout: 0.1}
  both: {task: sums, bidirectional: true}
  peeky: {task: sums, decoder: peeky}
  matched: {task: sums, match_parameters: peeky}
  writer: {task: lines}
  tied: {task: lines, tie_weights: true}
"""

SPACE = """\
variant: plain
trials: 4
space:
  learning_rate: {low: 0.001, high: 0.1, log: true}
  hidden_size: [4, 8]
"""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose data are prepared."""
    folder, before = tmp_path_factory.mktemp("sweeps"), Path.cwd()
    os.chdir(folder)
    try:
        Path("params.yaml").write_text(PARAMS)
        prepare(load(), "sums")
        prepare(load(), "lines")
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def study(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Return the study of a project of the test's own, which is the current folder."""
    shutil.copytree(prepared, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    return load()


def write_space(text: str = SPACE) -> Path:
    """Write a space file."""
    path = Path("space.yaml")
    path.write_text(text)
    return path
