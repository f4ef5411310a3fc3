"""The README's block of results is rewritten, and nothing else."""

import pytest

from unroll.errors import DataError
from unroll.reporting.readme import rewrite

TEXT = "# Title\n<!-- results: reports/c.md -->\nold\n<!-- end of results -->\nrest\n"


@pytest.fixture
def readme(tmp_path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/c.md").write_text("## addition\n\n| a |\n")
    (tmp_path / "README.md").write_text(TEXT)
    return tmp_path / "README.md"


def test_the_block_holds_the_comparison_one_level_lower(readme):
    assert rewrite(readme)
    assert readme.read_text() == TEXT.replace("old\n", "### addition\n\n| a |\n")
    assert not rewrite(readme)


def test_a_readme_without_a_block_is_refused(readme):
    readme.write_text("# Title\n")
    with pytest.raises(DataError, match="no block between"):
        rewrite(readme)


def test_a_missing_comparison_is_refused_by_name(readme):
    (readme.parent / "reports/c.md").unlink()
    with pytest.raises(DataError, match=r"reports/c\.md cannot be read"):
        rewrite(readme)
    assert readme.read_text() == TEXT
