"""Where bars are shown, and where lines: a log file keeps no cursor."""

import os
import pty
import sys

import pytest

from unroll.training.progress import Bars, Lines, display


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_file_gets_lines_whatever_the_environment_says(monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    assert isinstance(display([]), Lines)


@pytest.mark.parametrize(("term", "shown"), [("xterm", Bars), ("dumb", Lines)])
def test_a_terminal_gets_bars_if_it_can_move_its_cursor(monkeypatch, term, shown):
    monkeypatch.setenv("TERM", term)
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        found = display([])
        found.close()
        monkeypatch.undo()
    os.close(leader)
    assert isinstance(found, shown)
