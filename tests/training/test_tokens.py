"""What stands in a source file but words: the same tokens where the program is the same."""

import pytest

from unroll.training import sources
from unroll.training.sources import PACKAGE, tokens, tokens_digest

PLAIN = """\
import math


class Layer:
    def size(self, text):
        if text:
            return math.sqrt(2)  # rounded
        return "one" "two"
"""

SAME = {
    "no comment": PLAIN.replace("  # rounded", ""),
    "another comment": PLAIN.replace("# rounded", "# not rounded"),
    "a line of comment": PLAIN.replace("import math\n", "# of C\nimport math\n"),
    "a comment without indent": PLAIN.replace("            return", "# here\n            return"),
    "empty lines": PLAIN.replace("\n", "\n\n"),
    "blanks in empty lines": PLAIN.replace("\n\n", "\n   \n"),
    "no empty lines": PLAIN.replace("\n\n\n", "\n"),
    "no line end": PLAIN.removesuffix("\n"),
    "a docstring of the module": f'"""Layers."""\n{PLAIN}',
    "a docstring of the class": PLAIN.replace("Layer:\n", "Layer:\n    '''A layer.\n\n    '''\n"),
    "a docstring of the method": PLAIN.replace("text):\n", 'text):\n        r"Size."\n'),
    "a docstring of two parts": PLAIN.replace("text):\n", 'text):\n        "Size" "."\n'),
    "a text on its own": PLAIN.replace("import math\n", 'import math\n"No use."\n'),
    "deeper": PLAIN.replace("    ", "        "),
    "tabs": PLAIN.replace("    ", "\t"),
    "on two lines": PLAIN.replace("math.sqrt(2)", "math.sqrt(\n    2\n)"),
    "with a backslash": PLAIN.replace("return math", "return \\\n  math"),
    "more blanks": PLAIN.replace("math.sqrt(2)", "math . sqrt( 2 )"),
    "a form feed": PLAIN.replace("\n\n\n", "\n\f\n\n"),
}

OTHER = {
    "a number": PLAIN.replace("2", "3"),
    "a name": PLAIN.replace("Layer", "Sublayer"),
    "a text": PLAIN.replace("one", "three"),
    "an operator": PLAIN.replace("math.sqrt(2)", "-math.sqrt(2)"),
    "another order": PLAIN.replace('"one" "two"', '"two" "one"'),
    "another block": PLAIN.replace('        return "one', '            return "one'),
    "no statement": PLAIN.replace("import math", ""),
    "a line more": PLAIN + "x = 1\n",
    "a text that is used": PLAIN + '"a".join(x)\n',
    "another text that is used": PLAIN + '"b".join(x)\n',
    "a text after others": PLAIN.replace('"two"', '"two" "three"'),
    "two statements as one": PLAIN.replace("math.sqrt(2)", "math.sqrt(2), 1"),
}


@pytest.mark.parametrize("source", SAME.values(), ids=SAME)
def test_words_and_the_way_it_is_written_change_nothing(source):
    assert source != PLAIN
    assert tokens(source) == tokens(PLAIN)


@pytest.mark.parametrize("source", OTHER.values(), ids=OTHER)
def test_another_program_has_other_tokens(source):
    compile(source, "source", "exec")
    assert tokens(source) != tokens(PLAIN)


def test_no_two_of_these_programs_have_the_same_tokens():
    found = [tuple(tokens(source)) for source in (PLAIN, *OTHER.values())]
    assert len(set(found)) == len(found)


def test_tokens_of_a_known_source():
    assert tokens("def f(x):\n    'Doc.'\n    return x + 1  # one\n") == [
        *["def", "f", "(", "x", ")", ":", "NEWLINE"],
        *["INDENT", "return", "x", "+", "1", "NEWLINE", "DEDENT"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "f''",
        "f'{x}'",
        "f'a {x:>3} b {y!r} {{c}}'",
        "rf'\\d{x}'",
        "f'ö {x} ☑'",
        "f'{f\"{x}\"}'",
        "f'{x[\"a\"]}'",
        "f'''a\n{x}\nb {\ny}'''",
        "f'''\x0c{x}\x1c\u2028\n{y}'''",
    ],
)
def test_an_f_string_is_one_token(text):
    """Python splits it into several since 3.12, and has one token for all of it before."""
    assert tokens(f"ä = {text}, z\n") == ["ä", "=", text, ",", "z", "NEWLINE"]


def test_what_an_f_string_computes_changes_the_tokens():
    assert tokens("x = f'{a + 1}'\n") != tokens("x = f'{a + 2}'\n")


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "PACKAGE", tmp_path)
    (tmp_path / "a.py").write_text(PLAIN)
    (tmp_path / "b.py").write_text("x = 1\n")
    return tmp_path


def test_the_digest_is_that_of_the_tokens(package):
    before = tokens_digest("a.py", "b.py")
    assert len(before) == 64
    (package / "a.py").write_text(SAME["a docstring of the class"])
    assert tokens_digest("a.py", "b.py") == before
    (package / "b.py").write_text("x = 2\n")
    assert tokens_digest("a.py", "b.py") != before


def test_the_digest_is_of_all_files_in_their_order(package):
    assert len({tokens_digest(*names) for names in (["a.py"], ["b.py"], ["a.py", "b.py"])}) == 3
    assert tokens_digest("a.py", "b.py") != tokens_digest("b.py", "a.py")


def test_a_missing_file_is_not_passed_over(package):
    with pytest.raises(FileNotFoundError):
        tokens_digest("a.py", "c.py")


def test_every_source_of_the_package_has_tokens_that_are_a_program():
    """Nothing is lost but words: what is left has the statements of the source."""
    for path in sorted(PACKAGE.rglob("*.py")):
        found = tokens(path.read_text())
        assert found.count("INDENT") == found.count("DEDENT"), path
        assert not any(token.startswith(("#", '"""')) for token in found), path
