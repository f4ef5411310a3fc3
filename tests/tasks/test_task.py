"""What every task has, and how one is found."""

import pytest

from unroll import kinds, tasks
from unroll.options import Strict
from unroll.tasks.task import Task, first_difference


class Options(Strict):
    """Of a task that has no more than it must."""


class Bare(Task[Options]):
    """Such a task."""

    kind = "pairs"
    Options = Options

    def prepare(self):
        return None


def test_a_task_needs_no_more_than_its_data():
    task = Bare(Options())
    assert task.question("as it is ") == "as it is "
    assert task.same("a") == task.same("a") != task.same("A")
    assert list(task.properties(["a"])) == []
    assert (task.example, dict(task.axes)) == ("", {})
    assert task.mistake("8", "9") == "9 instead of 8"


def test_a_task_that_makes_no_data_is_none():
    class Empty(Task[Options]):
        kind = "pairs"
        Options = Options

    with pytest.raises(TypeError, match="prepare"):
        Empty(Options())


@pytest.mark.parametrize(
    ("expected", "answered", "name"),
    [
        ("189", "199", "9 instead of 8"),
        ("189", "18", "the end instead of 9"),
        ("18", "189", "9 instead of the end"),
        ("189", "", "the end instead of 1"),
        ("abc", "xyz", "x instead of a"),
    ],
)
def test_a_mistake_is_the_first_symbol_that_differs(expected, answered, name):
    assert first_difference(expected, answered) == name


def test_tasks_are_the_files_of_their_folder():
    assert tasks.names() == [
        *("addition", "brackets", "captions", "copy", "dates", "dialogue", "programs"),
        *("sentences", "text", "translation"),
    ]


@pytest.mark.parametrize("name", tasks.names())
def test_each_task_is_found_by_the_name_of_its_file_and_has_a_kind(name):
    found = tasks.named(name)
    assert issubclass(found, Task)
    assert found.__module__ == f"unroll.tasks.{name}"
    assert kinds.named(found.kind).name == found.kind
    assert found.Options.model_fields["kind"].annotation.__args__ == (name,)
    assert found.__doc__ != Task.__doc__


def test_a_task_that_is_not_there_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        tasks.named("chess")
