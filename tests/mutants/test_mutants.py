"""The mutants themselves, and what becomes of some of them."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator

from mutants.house import SOURCES, House
from mutants.operators import NEAREST, OWN, Mutant, mutants, statement_lines
from mutants.run import FILES, Trial, table
from mutants.variants import VARIANTS, asked
from unroll.options import OPTIONS, VariantOptions


@pytest.mark.parametrize("operator", OWN.values(), ids=OWN)
def test_our_operators_do_as_their_examples_say(operator: type[Operator]) -> None:
    for example in operator.examples():
        done = mutate_code(example.pre_mutation_code, operator(), example.occurrence)
        assert done == example.post_mutation_code


SOURCE = '''\
"""Words 1."""

from typing import Annotated


def f(x: int | None, y: Annotated[int, 5] = 3) -> int | None:
    """More words 2."""
    if y > 4:
        raise ValueError(f"{y} is more than {2 + 2}")
    for one in zip([x], [y], strict=True):
        print(one, end=".")
        y += 1
    started = time.perf_counter() - 1
    return x
'''


def test_types_checks_and_clocks_are_left_alone() -> None:
    found = list(mutants("models/any.py", SOURCE))
    done = {(mutant.line, mutant.operator) for mutant in found}
    assert done == {
        (6, "NumberReplacer"),  # the default
        (10, "ZeroIterationForLoop"),
        (11, "DropStatement"),
        (11, "DropKeyword"),
        (12, "DropStatement"),
        (12, "NumberReplacer"),
    }
    assert len({mutant.text for mutant in found}) == len(found)


@functools.cache
def of_file(file: str) -> list[Mutant]:
    """Return the mutants of a source; they take seconds."""
    return list(mutants(file, (SOURCES / file).read_text()))


@pytest.mark.parametrize("file", FILES)
def test_mutants_are_python_and_another_program(file: str) -> None:
    source = (SOURCES / file).read_text()
    program = ast.dump(ast.parse(source))
    for mutant in of_file(file):
        assert ast.dump(ast.parse(mutant.text)) != program, mutant
        assert 1 <= mutant.line <= source.count("\n")


def test_every_operator_finds_something_to_do() -> None:
    found = {m.operator for file in FILES for m in of_file(file)}
    rare = {"ReplaceContinueWithBreak", "ReplaceBinaryOperator_Mod_FloorDiv"}
    rare |= {"ReplaceBinaryOperator_Pow_Mul", "ReplaceBinaryOperator_BitOr_BitAnd"}
    rare |= {f"ReplaceComparisonOperator_{pair}" for pair in ("LtE_Lt", "LtE_Gt")}
    # Most stand in checks of what may be damaged, which are left alone.
    rare |= {f"ReplaceComparisonOperator_Gt_{other}" for other in ("GtE", "LtE")}
    rare |= {f"ReplaceComparisonOperator_GtE_{other}" for other in ("Gt", "Lt")}
    assert {*NEAREST, *OWN} - found <= rare


def test_a_line_belongs_to_its_innermost_statement() -> None:
    lines = statement_lines(
        "def f(\n    x\n):\n    if x:\n        y = [\n            x,\n        ]\n"
    )
    assert lines == {1: (1, 3), 2: (1, 3), 3: (1, 3), 4: (4, 4), 5: (5, 7), 6: (5, 7), 7: (5, 7)}


# The variants that are asked


@pytest.mark.parametrize("kind", OPTIONS)
def test_each_value_of_each_option_stands_in_a_variant(kind: str) -> None:
    # What a kind has from another one is asked of the variants of that one.
    kin = {name for name, options in OPTIONS.items() if issubclass(OPTIONS[kind], options)}
    of = [OPTIONS[k].model_validate(options) for k, options in VARIANTS.values() if k in kin]
    given = {name: {getattr(one, name, None) for one in of} for name in _choices(OPTIONS[kind])}
    for name, values in _choices(OPTIONS[kind]).items():
        assert given[name] >= values, name


def _choices(options: type[VariantOptions]) -> dict[str, set[object]]:
    schema = options.model_json_schema()["properties"]
    found: dict[str, set[object]] = {n: set(of["enum"]) for n, of in schema.items() if "enum" in of}
    return found | {n: {False, True} for n, of in schema.items() if of.get("type") == "boolean"}


# What becomes of them


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with House(seconds=20) as house:
        yield house


@pytest.mark.long
def test_a_file_is_as_it_was_after_an_edit(house: House) -> None:
    name = "models/layers.py"
    before = house.text(name)
    with house.edited({name: "nonsense(", "models/new.py": ""}):
        assert house.text(name) == "nonsense("
        assert "crash" in house.plans(asked("train", "last"))
    assert house.text(name) == before == (SOURCES / name).read_text()
    assert not (house.folder / "unroll" / "models" / "new.py").exists()
    assert "crash" not in house.plans(asked("train", "last"))


@pytest.mark.long
def test_what_comes_to_no_end_is_ended(house: House) -> None:
    endless = house.text("seeds.py") + "\nwhile True: pass\n"
    with house.edited({"seeds.py": endless}):
        assert house.plans(asked("train", "last")) == {"crash": "it came to no end"}


@pytest.mark.long
def test_some_mutants_have_the_outcome_that_they_must_have(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = asked("train", "last", "words")
    monkeypatch.setattr("mutants.run.ASKED", questions)
    trial = Trial()
    trial.learn(house)
    for file, before, after, expected in (
        ("models/classifier.py", "return memory.summary", "return -memory.summary", "behaviour"),
        ("models/classifier.py", "return memory.summary", "return summary", "crash"),
        ("models/classifier.py", "bias=False", "bias=True", "not run"),
        ("models/classifier.py", "return memory.summary", "return +memory.summary", "survived"),
        ("models/linear_cross_entropy.py", "BLOCK = 64", "BLOCK = 65", "tokens"),
    ):
        text = house.text(file)
        line = text[: text.index(before)].count("\n") + 1
        mutant = Mutant(file, line, "by hand", 0, text.replace(before, after))
        outcome, said = trial.outcome(house, mutant)
        assert outcome == expected, (after, said)
        trial.found.append((mutant, outcome, said))
    last = table(trial).splitlines()[-1].split()
    assert last == ["all", "1", "1", "1", "1", "1", "60.0%"]


@pytest.mark.long
@pytest.mark.parametrize("option", ["--help", "--list"])
def test_the_command_explains_itself(option: str) -> None:
    command = [sys.executable, str(Path(__file__).with_name("run.py")), option]
    done = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert ("--sample" if option == "--help" else f"{FILES[-1]}\n") in done
