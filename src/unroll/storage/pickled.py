"""Arrays of numbers out of a pickle that is read and never run.

A pickle is a program: `pickle.load` calls what it names, and also from harmless names it can ask
for memory without end. So it is not loaded. A machine of its own reads the opcodes (the module
`pickletools` describes each) of which a list of NumPy arrays is made, in the protocols of Python 3,
and lays the arrays over the bytes itself. Nothing is imported, nothing is called, nothing is made
larger than it stands in the file, and all else is refused by name.
"""

import io
import itertools
import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unroll.errors import DataError
from unroll.storage.files import read_bytes

LARGEST = 2**28  # bytes; those of a language model of 10,000 words with H = 650 are 80 million
MOST_OPCODES = 100_000  # an array has some thirty
MOST_DIMENSIONS = 2

FLOATS = ("f2", "f4", "f8")  # as NumPy names types in pickles: kind and bytes
ORDER = "<"  # of bytes

RECONSTRUCT = "numpy._core.multiarray._reconstruct"
FROM_BUFFER = "numpy._core.numeric._frombuffer"
NDARRAY, DTYPE = "numpy.ndarray", "numpy.dtype"
KNOWN = (RECONSTRUCT, FROM_BUFFER, NDARRAY, DTYPE)
OLD = "_codecs.encode"  # how bytes are written for Python 2


@dataclass(frozen=True)
class Name:
    """What a pickle names to be called, or as a class."""

    name: str


@dataclass
class Type:
    """A type of numbers; its order of bytes comes later."""

    code: str
    complete: bool = False


@dataclass
class Array:
    """An array; its numbers come later."""

    numbers: np.ndarray | None = None


MARK = object()


def read_arrays_of_pickle(path: Path, largest: int = LARGEST) -> list[np.ndarray]:
    """Return the float arrays, of one or two dimensions, of which a pickle holds a list.

    Raises:
        DataError: the file is missing, too large or no pickle, or holds anything else.
    """
    raw = read_bytes(path, largest)
    try:
        return _arrays(_value(raw))
    except DataError as error:
        raise DataError(f"{path}: {error}; nothing of it was run") from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, StopIteration):
        raise DataError(f"{path} is no pickle of arrays, or a part of one") from None


def _arrays(value: Any) -> list[np.ndarray]:
    if not isinstance(value, list):
        raise DataError(f"it holds no list of arrays but one {_what(value)}")
    found = []
    for number, item in enumerate(value, 1):
        if not isinstance(item, Array) or item.numbers is None:
            raise DataError(f"item {number} of its list is no array but {_what(item)}")
        found.append(item.numbers)
    return found


def _what(value: Any) -> str:
    return value.name if isinstance(value, Name) else type(value).__name__.lower()


def _value(raw: bytes) -> Any:
    """Return what a pickle would leave on its stack."""
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    opcodes = pickletools.genops(io.BytesIO(raw))
    for opcode, argument, _ in itertools.islice(opcodes, MOST_OPCODES):
        name = opcode.name
        if name == "STOP":
            return stack.pop()
        if name in PUSHES:
            stack.append(argument)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "GLOBAL":
            stack.append(_named(*str(argument).split(" ", 1)))
        elif name in STEPS:
            STEPS[name](stack)
        elif name not in ("PROTO", "FRAME"):
            raise DataError(f"it holds {name}, which no list of arrays has")
    raise DataError(f"it has more than {MOST_OPCODES:,} opcodes")


PUSHES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG1"),
    *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}


def _to_mark(stack: list[Any]) -> list[Any]:
    """Take off the stack what stands above the last mark, and the mark."""
    place = next(i for i in range(len(stack) - 1, -1, -1) if stack[i] is MARK)
    found = stack[place + 1 :]
    del stack[place:]
    return found


def _last(stack: list[Any], count: int) -> list[Any]:
    found = [stack.pop() for _ in range(count)]
    return found[::-1]


def _extend(stack: list[Any], items: list[Any]) -> None:
    if not isinstance(stack[-1], list):
        raise DataError(f"it adds items to what is no list but {_what(stack[-1])}")
    stack[-1].extend(items)


def _named(module: str, name: str) -> Name:
    """Return a name, as NumPy spells it since version 2; others are refused."""
    full = f"{module}.{name}"
    spelt = full.replace("numpy.core.", "numpy._core.", 1)
    if spelt == OLD:
        raise DataError("its protocol is one before 3; write it with pickle.dump(params, file)")
    if spelt not in KNOWN:
        raise DataError(f"it names {full}, which is no array of NumPy's")
    return Name(spelt)


def _called(function: Any, arguments: Any) -> Any:
    """Return what a call would give, without calling it."""
    match _what(function), arguments:
        case "numpy._core.multiarray._reconstruct", (Name("numpy.ndarray"), (0,), bytes()):
            return Array()
        case "numpy._core.numeric._frombuffer", (bytes() | bytearray(), Type(), tuple(), str()):
            data, of, shape, order = arguments
            return Array(_numbers(data, of, shape, order == "F"))
        case "numpy.dtype", (str(code), 0 | 1, 0 | 1):
            if code not in FLOATS:
                floats = ", ".join(FLOATS)
                raise DataError(f"it holds an array of the type {code}; weights are of {floats}")
            return Type(code)
    raise DataError(f"it calls {_what(function)} otherwise than NumPy does")


def _built(value: Any, state: Any) -> None:
    """Give an array its numbers, or a type its order of bytes."""
    match value, state:
        case Array(None), (int(), tuple() as shape, Type() as of, 0 | 1 as fortran, data):
            if not isinstance(data, bytes | bytearray):
                raise DataError(f"it holds an array of {_what(data)}, not of numbers")
            value.numbers = _numbers(data, of, shape, bool(fortran))
        case Type(), (int(), str(order), None, None, None, *_) if order == ORDER:
            value.complete = True
        case _:
            raise DataError(f"it holds a {_what(value)} that is not as NumPy leaves it")


def _numbers(
    data: bytes | bytearray, of: Type, shape: tuple[Any, ...], fortran: bool
) -> np.ndarray:
    """Return an array of bytes as they stand in the file."""
    if not of.complete or not all(type(size) is int for size in shape):
        raise DataError("it holds an array that is not as NumPy leaves it")
    if not 1 <= len(shape) <= MOST_DIMENSIONS:
        raise DataError(f"it holds an array of {len(shape)} dimensions; weights have one or two")
    dtype = np.dtype(ORDER + of.code)
    if min(shape) < 1 or math.prod(shape) * dtype.itemsize != len(data):
        raise DataError(
            f"it holds an array of the shape {shape} of {of.code}, and {len(data):,} bytes for it"
        )
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _reduce(stack: list[Any]) -> None:
    function, arguments = _last(stack, 2)
    stack.append(_called(function, arguments))


def _build(stack: list[Any]) -> None:
    value, state = _last(stack, 2)
    _built(value, state)
    stack.append(value)


def _append(stack: list[Any]) -> None:
    item = stack.pop()
    _extend(stack, [item])


# What each opcode does with the stack.
STEPS: dict[str, Callable[[list[Any]], None]] = {
    "MARK": lambda stack: stack.append(MARK),
    "NONE": lambda stack: stack.append(None),
    "NEWTRUE": lambda stack: stack.append(True),
    "NEWFALSE": lambda stack: stack.append(False),
    "EMPTY_LIST": lambda stack: stack.append([]),
    "EMPTY_TUPLE": lambda stack: stack.append(()),
    "TUPLE1": lambda stack: stack.append(tuple(_last(stack, 1))),
    "TUPLE2": lambda stack: stack.append(tuple(_last(stack, 2))),
    "TUPLE3": lambda stack: stack.append(tuple(_last(stack, 3))),
    "TUPLE": lambda stack: stack.append(tuple(_to_mark(stack))),
    "LIST": lambda stack: stack.append(_to_mark(stack)),
    "APPEND": _append,
    "APPENDS": lambda stack: _extend(stack, _to_mark(stack)),
    "STACK_GLOBAL": lambda stack: stack.append(_named(*map(str, _last(stack, 2)))),
    "REDUCE": _reduce,
    "BUILD": _build,
}
