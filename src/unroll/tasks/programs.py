"""Small programs, answered by what they print (Zaremba and Sutskever, 2014, "Learning to Execute").

    a=(57+38);for x in range(4):a+=12;print((a if 9>3 else 60))

How hard a program is, is told by two numbers: the digits of its numbers, and its operations, each
of which goes on from what the one before brought. What a program prints is found by an evaluator of
this small language; nothing is ever run. A program goes into a split by a digest of its text, so
that none stands in two.
"""

import ast
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, get_args

import numpy as np
from pydantic import Field

from unroll.data.pairs import Pairs, from_texts
from unroll.data.properties import Property, crossed, of_values
from unroll.errors import UserError
from unroll.options import Count, Strict
from unroll.seeds import numpy_generator
from unroll.tasks.task import Task

NAMES = "abcdefgh"  # of variables; a program assigns each once
MORE_NAMES = "nopr"  # where there are more operations than these
ALPHABETS = (f"{NAMES} forinagepstl x0123456789=+-*<>():;", "-0123456789")
SHARES = {"test": 10, "valid": 5, "train": 85}  # of a hundred programs: into which split they go
FRUITLESS = 20  # times that as many are drawn as would do if none came twice
LONGEST = 500  # characters of a program
MOST_ROUNDS = 1_000  # of a loop
LARGEST = 10**LONGEST  # number of a program
BUILT_IN = ("print", "range")

Digits = Annotated[int, Field(ge=1, le=6)]
Operation = Literal["add", "multiply", "choose", "assign", "loop"]
Operations = Annotated[int, Field(ge=1, le=8)]


class ProgramsOptions(Strict):
    """The data section of a programs task."""

    kind: Literal["programs"]
    digits: Digits = 2  # at most, of what is taught
    operations: Operations = 2
    allowed: Annotated[list[Operation], Field(min_length=1)] = Field(
        default_factory=lambda: list(get_args(Operation))
    )
    beyond: Annotated[int, Field(ge=0, le=3)] = 1  # by which either is tested further
    train: Count = 20_000  # of each difficulty
    valid: Count = 500  # of the greatest difficulty that is taught
    test: Count = 500  # of each difficulty
    seed: Annotated[int, Field(ge=0)] = 1984


class Programs(Task[ProgramsOptions]):
    """Programs such as `a=57;print((a+38))`, and what they print."""

    kind = "pairs"
    Options = ProgramsOptions
    has_levels = True
    example = "a=7;print((a+5))"
    axes: ClassVar = {
        "digits": "digits of its numbers",
        "operations": "operations of a program",
        "the one operation": "the operation, where it is one",
    }

    def prepare(self) -> Pairs:
        """Draw programs of each difficulty.

        Raises:
            UserError: there are too few of the greatest difficulty.
        """
        options = self.options
        # In the order of the naive curriculum: first more digits, then more operations.
        levels = [
            (digits, operations)
            for operations in range(1, options.operations + options.beyond + 1)
            for digits in range(1, options.digits + options.beyond + 1)
        ]
        drawn = {level: self._draw(*level) for level in levels}
        hardest = drawn[options.digits, options.operations]
        for split, wanted in {"train": options.train, "valid": options.valid}.items():
            if len(hardest[split]) < wanted:
                raise UserError(
                    f"{split}: of the greatest difficulty only {len(hardest[split]):,} programs "
                    f"could be drawn, not {wanted:,}; lower {split}, or raise digits or operations"
                )
        taught = [of["train"] for of in drawn.values() if "train" in of]
        texts = {
            "train": [text for level in taught for text in level],
            "valid": hardest["valid"],
            "test": [text for of in drawn.values() for text in of["test"]],
        }
        rows = {split: [(text, run(text)) for text in of] for split, of in texts.items()}
        counts = {
            f"{digits} digits, {operations} operations": {s: len(of[s]) for s in of}
            for (digits, operations), of in drawn.items()
        }
        data = from_texts(rows, facts={"drawn": counts}, alphabets=ALPHABETS)
        numbers = np.arange(1, len(taught) + 1)
        return replace(data, levels=np.repeat(numbers, [len(level) for level in taught]))

    def _draw(self, digits: int, operations: int) -> dict[str, list[str]]:
        """Return different programs of one difficulty, as many of each split as there can be."""
        options = self.options
        wanted = {"test": options.test}
        if digits <= options.digits and operations <= options.operations:
            wanted["train"] = options.train
        if (digits, operations) == (options.digits, options.operations):
            wanted["valid"] = options.valid
        random = numpy_generator(options.seed, "programs", str(digits), str(operations))
        found: dict[str, dict[str, None]] = {split: {} for split in wanted}  # in order of drawing
        for _ in range(FRUITLESS * max(n * 100 // SHARES[split] for split, n in wanted.items())):
            text = draw(digits, operations, options.allowed, random)
            split = split_of(text)
            if len(found.get(split, "")) < wanted.get(split, 0):
                found[split][text] = None
            elif all(len(found[split]) == size for split, size in wanted.items()):
                break
        return {split: list(texts) for split, texts in found.items()}

    def question(self, text: str) -> str:
        """Return a program as the data have it.

        Raises:
            UserError: it is none; the message says what is not understood.
        """
        lines = [line.strip() for line in re.split("[;\n]", text)]
        plain = re.sub(r"\s*([-+*/=<>():])\s*", r"\1", ";".join(filter(None, lines)))
        plain = re.sub(r"\)(if|else)\b", r") \1", re.sub(r"\s+", " ", plain))
        plain = re.sub(r"\b(if|else)\(", r"\1 (", plain)
        run(plain)
        return plain

    def properties(self, questions: Sequence[str]) -> list[Property]:
        """Return how hard programs are, and where they have one operation, which it is."""
        trees = [parse(text) for text in questions]
        digits = of_values("digits", [digits_of(tree) for tree in trees])
        operations = [operations_of(tree) for tree in trees]
        alone = [of[0] if len(of) == 1 else "several" for of in operations]
        return [
            crossed(digits, of_values("operations", [len(of) for of in operations])),
            crossed(digits, of_values("the one operation", alone)),
        ]

    def mistake(self, expected: str, answered: str) -> str:
        """Return how far off a wrong answer is."""
        if not re.fullmatch(r"-?\d+", answered):
            return "no number"
        if len(answered) != len(expected):
            return "another number of digits"
        wrong = [a != b for a, b in zip(expected, answered, strict=True)]
        return "one digit wrong" if sum(wrong) == 1 else "several digits wrong"


def split_of(text: str) -> str:
    """Return the split into which a program goes, by a digest of its text."""
    place = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 100
    for split, share in SHARES.items():
        if place < share:
            return split
        place -= share
    raise AssertionError(f"{SHARES} are not a hundred")


# Drawing programs


class Draft:
    """A program that is being written: what stands, and the expression that is to be printed."""

    def __init__(self, digits: int, random: np.random.Generator) -> None:
        self.digits, self.random = digits, random
        self.statements: list[str] = []
        self.names = iter([*random.permutation([*NAMES]).tolist(), *MORE_NAMES])
        self.expression = self.number()

    def number(self) -> str:
        """Return a number of so many digits."""
        low = 0 if self.digits == 1 else 10 ** (self.digits - 1)
        return str(self.random.integers(low, 10**self.digits))

    def one_of(self, *choices: str) -> str:
        """Return one of several texts."""
        return str(self.random.choice(choices))

    def assign(self) -> str:
        """Give the expression a name."""
        name: str = next(self.names)
        self.statements.append(f"{name}={self.expression}")
        self.expression = name
        return name

    def add(self) -> None:
        """Add or take away a number."""
        sides = [self.expression, self.number()]
        left, right = sides if self.random.random() < 0.5 else sides[::-1]
        self.expression = f"({left}{self.one_of('+', '-')}{right})"

    def multiply(self) -> None:
        """Multiply by a number of one digit."""
        self.expression = f"({self.expression}*{self.random.integers(2, 10)})"

    def choose(self) -> None:
        """Take it, or another number, by which of two is the greater."""
        compared = f"{self.number()}{self.one_of('<', '>')}{self.number()}"
        self.expression = f"({self.expression} if {compared} else {self.number()})"

    def loop(self) -> None:
        """Add a number several times."""
        name = self.assign()
        times = self.random.integers(2, 10)
        self.statements.append(f"for x in range({times}):{name}+={self.number()}")


OPERATIONS: dict[Operation, Callable[[Draft], object]] = {
    "add": Draft.add,
    "multiply": Draft.multiply,
    "choose": Draft.choose,
    "assign": Draft.assign,
    "loop": Draft.loop,
}


def draw(
    digits: int, operations: int, allowed: Sequence[Operation], random: np.random.Generator
) -> str:
    """Return a program of this difficulty, of the operations that are allowed."""
    draft = Draft(digits, random)
    for _ in range(operations):
        OPERATIONS[allowed[int(random.integers(len(allowed)))]](draft)
    return ";".join([*draft.statements, f"print({draft.expression})"])


# Reading programs


def parse(text: str) -> ast.Module:
    """Return the tree of a program: Python's parser reads it, nothing runs it.

    Raises:
        UserError: it cannot be read.
    """
    if len(text) > LONGEST:
        raise UserError(f"a program may have {LONGEST} characters, not {len(text)}")
    try:
        return ast.parse(text.replace(";", "\n"))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UserError(f"{text!r} is no program: {why}; one is {Programs.example}") from None


def run(text: str) -> str:
    """Return what a program prints, by an evaluator of this language alone.

    Raises:
        UserError: it is no program of this language.
    """
    try:
        return _printed(parse(text))
    except RecursionError:
        raise UserError(f"a program must not be nested so deeply: {Programs.example}") from None


def _printed(tree: ast.Module) -> str:
    variables: dict[str, int] = {}
    *statements, last = tree.body or [ast.Pass()]
    for statement in statements:
        _take(statement, variables)
    match last:
        case ast.Expr(value=ast.Call(func=ast.Name(id="print"), args=[value], keywords=[])):
            return str(_value(value, variables))
        case _:
            raise _unknown(last)


def _take(statement: ast.stmt, variables: dict[str, int]) -> None:
    """Do what a statement says to the variables."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if name not in BUILT_IN:
            variables[name] = _value(value, variables)
        case ast.For(
            target=ast.Name(id=counter),
            iter=ast.Call(
                func=ast.Name(id="range"),
                args=[ast.Constant(value=int(times))],
                keywords=[],
            ),
            body=[ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value)],
            orelse=[],
        ) if not isinstance(times, bool) and times <= MOST_ROUNDS and counter not in BUILT_IN:
            for variables[counter] in range(times):
                before = _value(ast.Name(name), variables)
                variables[name] = _bounded(before + _value(value, variables))
        case _:
            raise _unknown(statement)


def _value(tree: ast.expr, variables: dict[str, int]) -> int:
    return _bounded(_computed(tree, variables))


def _bounded(value: int) -> int:
    if abs(value) > LARGEST:
        raise UserError(f"a number of a program must not have more than {LONGEST} digits")
    return value


def _computed(tree: ast.expr, variables: dict[str, int]) -> int:
    match tree:
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            return number
        case ast.Name(id=name) if name in variables:
            return variables[name]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left, variables) + _value(right, variables)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _value(left, variables) - _value(right, variables)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _value(left, variables) * _value(right, variables)
        case ast.IfExp(
            test=ast.Compare(left=left, ops=[ast.Lt() | ast.Gt() as sign], comparators=[right]),
            body=body,
            orelse=other,
        ):
            one, two = _value(left, variables), _value(right, variables)
            greater = one < two if isinstance(sign, ast.Lt) else one > two
            return _value(body if greater else other, variables)
        case _:
            raise _unknown(tree)


def _unknown(tree: ast.AST) -> UserError:
    return UserError(
        f"{ast.unparse(tree)!r} is not of the language that is learned: assignments, +, -, *, "
        f"… if … < … else …, for x in range(…), and print at the end: {Programs.example}"
    )


def digits_of(tree: ast.Module) -> int:
    """Return how many digits the longest number of a program has."""
    numbers = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return max((len(str(number)) for number in numbers), default=0)


SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}


def operations_of(tree: ast.Module) -> list[str]:
    """Return the operations of a program: a loop is one with the assignment before it."""
    loops = [node for node in tree.body if isinstance(node, ast.For)]
    looped = {node.target.id for loop in loops for node in loop.body}  # type: ignore[attr-defined]
    found = ["for"] * len(loops)
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp):
            found.append(SIGNS[type(node.op)])
        elif isinstance(node, ast.IfExp):
            found.append("if")
        elif isinstance(node, ast.Assign) and node.targets[0].id not in looped:  # type: ignore[attr-defined]
            found.append("=")
    return found
