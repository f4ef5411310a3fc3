"""Kinds of models: pairs (sequence → sequence), corpus (a stream), labels (sequence → class).

A kind is the one object that binds options, data, model, training, evaluation, answering and
serving. Reporting, tracking, statistics and the stages know kinds, not which there are.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unroll.kinds.kind import Kind
    from unroll.options import VariantOptions


def named(name: str) -> "Kind[Any, Any]":
    """Return the kind of this name: the object in the file of this folder that is named so."""
    kind: Kind[Any, Any] = importlib.import_module(f"{__name__}.{name}").KIND
    return kind


def kind_of(options: "VariantOptions") -> "Kind[Any, Any]":
    """Return the kind of a variant with these options."""
    return named(options.kind)
