"""What a mutant is: cosmic-ray's small edits of the sources, and two of our own."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.plugins import get_operator

# Of each operator what is nearest to it, and its opposite: cosmic-ray has all by all.
NEAREST = (
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul")),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("FloorDiv_Mul", "Mod_FloorDiv", "Pow_Mul")),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("BitOr_BitAnd", "BitAnd_BitOr")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "Lt_Gt")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("GtE_Gt", "GtE_Lt", "Is_IsNot", "IsNot_Is")),
    *(f"ReplaceUnaryOperator_Delete_{sign}" for sign in ("USub", "Invert", "Not")),
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    *("ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceBreakWithContinue"),
    *("ReplaceContinueWithBreak", "NumberReplacer", "RemoveDecorator", "ZeroIterationForLoop"),
)


class DropStatement(Operator):
    """Leaves out a call whose value nobody takes, or a change in place (x += 1)."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if _is_statement(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        first = node.get_first_leaf().prefix
        return parso.parse(f"{first}pass")

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (Example("f(1)\n", "pass\n"), Example("x += 1\n", "pass\n"))


class DropKeyword(Operator):
    """Leaves out an argument that is given by its name: the default takes its place."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        for found in _keywords(node):
            yield found.start_pos, found.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        found = list(_keywords(node))[index]
        place = node.children.index(found)
        # With the comma after it; the last one's trailing comma is legal Python.
        del node.children[place : place + 2 if place + 1 < len(node.children) else place + 1]
        return node

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (Example("f(1, x=2, y=3)", "f(1, y=3)"), Example("f(1, x=2)", "f(1,)"))


# What stands in these files and is no part of a training: DVC, or nobody, asks for a plan of it.
NO_PART = {
    "data/batches.py": ("rows_at_once",),  # how many at once: the memory that it takes
    "data/sequences.py": ("encode", "texts"),  # of `prepare`: its outputs are a dependency
    "training/checkpoint.py": ("others", "remove", "unfit", "due", "_digest"),  # files, sums
}
# Checks, clocks, reports, how much is computed at once.
ASIDE = re.compile(
    r"rows_at_once|^LARGEST\b|\b_check_|^self\.mean_loss\(\)$|\btime\.|seconds|\breport(ed)?\b|REPORT"
)

MARKS = ("abstractmethod", "torch.inference_mode()")  # decorators that compute nothing

OWN: dict[str, type[Operator]] = {"DropStatement": DropStatement, "DropKeyword": DropKeyword}


@dataclass(frozen=True)
class Mutant:
    """An edit: what was done where, and the text of the file after it."""

    file: str
    line: int
    operator: str
    occurrence: int
    text: str


def mutants(file: str, source: str) -> Iterator[Mutant]:
    """Yield the mutants of a source file.

    Left alone are types, clocks and reports, checks of what may be damaged, and `NO_PART`.
    """
    apart = _apart(file, source)
    for name in (*NEAREST, *OWN):
        operator = (OWN[name] if name in OWN else get_operator(f"core/{name}"))()
        places = [
            p for node in ast_nodes(get_ast(source)) for p in operator.mutation_positions(node)
        ]
        for occurrence, ((line, column), _) in enumerate(places):
            if any(first <= (line, column) < last for first, last in apart):
                continue
            text = mutate_code(source, operator, occurrence)
            if text is not None and text != source and _is_python(text):
                yield Mutant(file, line, name, occurrence, text)


def _is_python(text: str) -> bool:
    """Say whether a text can be read: `*` in place of the `**` of a dictionary cannot."""
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _is_statement(node: Any) -> bool:
    if node.parent is None or node.parent.type not in ("simple_stmt", "suite", "file_input"):
        return False
    if node.type == "expr_stmt":
        return node.children[1].type == "operator" and node.children[1].value != "="
    return node.type in ("atom_expr", "power") and node.children[-1].type == "trailer"


def _keywords(node: Any) -> list[Any]:
    """Return the arguments of a call that are given by name, where there are others too."""
    if node.type != "arglist":
        return []
    return [c for c in node.children if c.type == "argument" and c.children[1] == "="]


def _apart(file: str, source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return what of a file is no part of what a training does: from which place to which."""
    found: list[ast.AST | None] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name) if name in NO_PART.get(file, ()):
                found.append(node)
            case ast.FunctionDef(args=args, returns=returns, decorator_list=decorators):
                found += [d for d in decorators if ast.unparse(d) in MARKS]
                found += [
                    returns,
                    *(a.annotation for a in ast.walk(args) if isinstance(a, ast.arg)),
                ]
            case ast.AnnAssign(annotation=annotation):
                found.append(annotation)
            case ast.Subscript(value=ast.Name(id="Annotated" | "Callable")):
                found.append(node)
            case ast.ClassDef(decorator_list=[ast.expr() as decorator, *_]):
                found.append(decorator)  # of a dataclass: what stands in it is frozen
            case ast.Raise() | ast.Assert():
                found.append(node)
            case ast.If(test=test, body=[ast.Raise()], orelse=[]):
                found.append(test)
            case ast.keyword(arg="strict" | "device"):
                found.append(node)
            case ast.Assign() | ast.AugAssign() | ast.Expr() if ASIDE.search(ast.unparse(node)):
                found.append(node)
            case ast.If(test=test) if ASIDE.search(ast.unparse(test)):
                found.append(test)
    # A decorator begins with its @, which ast leaves out.
    return [
        ((n.lineno, max(0, n.col_offset - 1)), (n.end_lineno or 0, n.end_col_offset or 0))
        for n in found
        if isinstance(n, ast.expr | ast.stmt | ast.keyword)
    ]


def statement_lines(source: str) -> dict[int, tuple[int, int]]:
    """Return, for each line, the first and last line of the statement in which it stands."""
    found: dict[int, tuple[int, int]] = {}
    for node in ast.walk(ast.parse(source)):  # outer ones first
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            for line in range(first, max(last, node.lineno) + 1):
                found[line] = (first, max(last, node.lineno))
    return found
