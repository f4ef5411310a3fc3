"""The file of a plan, and the numbers in it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unroll.errors import DataError
from unroll.storage.files import read_json, write_json

DIGITS = 6  # significant ones
NOTHING = 1e-9  # what is smaller may be a remainder of sums that cancel


def write_plan(path: Path, plan: Mapping[str, Any]) -> None:
    """Write a plan."""
    write_json(path, plan)


def read_plan(path: Path) -> dict[str, Any]:
    """Return a plan.

    Raises:
        DataError: it is missing or is none.
    """
    plan = read_json(path)
    if not isinstance(plan.get("behaviour"), dict):
        raise DataError(f"{path} is no plan")
    return plan


def plan_digest(plan: Mapping[str, Any]) -> str:
    """Return a digest of all of a plan but which seeds are asked for."""
    rest = {name: value for name, value in plan.items() if name != "seeds"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def rounded(value: Any) -> Any:
    """Return numbers with six significant digits, wherever they stand."""
    if isinstance(value, Mapping):
        return {str(name): rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    if not isinstance(value, float):
        return value
    return 0.0 if abs(value) < NOTHING else float(f"{value:.{DIGITS}g}")


def projections(model: nn.Module) -> dict[str, float]:
    """Return a number for each parameter of a model, in which every weight and its place counts."""
    return {name: projection(p.detach()) for name, p in model.named_parameters()}


def projection(x: Tensor) -> float:
    """Return the product of all numbers of x with fixed ones, no two of which are equal."""
    flat = x.double().flatten()
    fixed = torch.arange(1, len(flat) + 1, dtype=torch.float64).sin()
    return float(flat @ fixed)
