"""What is learned: one file per task, with one class that says how its data are made.

`kind: <file name>` in a params file finds it; nothing else has to know of it.
"""

import importlib
import pkgutil
from typing import Any

from unroll.tasks.task import Task


def names() -> list[str]:
    """Return what `kind` can be in a task's data section: the files of this folder."""
    return [module.name for module in pkgutil.iter_modules(__path__) if module.name != "task"]


def named(name: str) -> type[Task[Any]]:
    """Return the class of the task of this name."""
    module = importlib.import_module(f"{__name__}.{name}")
    [found] = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Task)
        and value.__module__ == module.__name__
    ]
    return found
