import pytest

from models.toys import pairs, task_section
from unroll.errors import DataError
from unroll.stages.prepare import prepare
from unroll.study import load
from unroll.tasks.addition import Addition


def test_data_in_which_a_question_stands_in_two_splits_are_not_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section = task_section("sums", hidden_size=4)
    (tmp_path / "params.yaml").write_text(f"tasks:\n{section}variants:\n  v: {{task: sums}}\n")
    monkeypatch.setattr(Addition, "prepare", lambda task: pairs())  # all splits are alike
    monkeypatch.setattr(Addition, "same", lambda task, question: question)
    with pytest.raises(DataError, match="20 of the 20 valid questions stand in another split"):
        prepare(load(), "sums")
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
