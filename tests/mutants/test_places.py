"""Every edit has its place: making them takes long, so who edits the sources is told before."""

import pytest

from mutants.edits import EVALUATION, OPTION_EDITS, Edit
from mutants.house import SOURCES


@pytest.mark.parametrize("edit", [*OPTION_EDITS, *EVALUATION], ids=lambda edit: edit.breaks)
def test_what_is_edited_stands_in_the_sources_once(edit: Edit) -> None:
    assert (SOURCES / edit.file).read_text().count(edit.before) == 1
