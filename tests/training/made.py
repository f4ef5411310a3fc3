"""Trainings at toy size: each call begins one anew."""

import contextlib
import warnings
from collections.abc import Iterator

import numpy as np
import torch

from models.toys import (
    COMMON,
    CPU,
    corpus,
    corpus_options,
    labelled,
    labels_options,
    pairs,
    pairs_options,
    ragged,
)
from unroll.data.labels import Labelled
from unroll.data.pairs import Pairs
from unroll.kinds import kind_of
from unroll.models.initialise import initialise
from unroll.options import OPTIONS, Compute, VariantOptions
from unroll.training.corpus import CorpusObjective
from unroll.training.labels import LabelsObjective
from unroll.training.machine import Machine, choose
from unroll.training.objective import Objective
from unroll.training.pairs import PairsObjective

WORDS = np.random.default_rng(0).integers(0, 7, size=60)
Run = tuple[Objective, VariantOptions]


def _run(data, options: VariantOptions, seed: int, machine: Machine, dtype: torch.dtype) -> Run:
    kind = kind_of(options)
    model = kind.build(options, kind.form(data)).to(dtype)
    initialise(model, "default", seed)
    return kind.objective(model, data, options, seed, machine), options


def pairs_run(
    seed: int = 0,
    data: Pairs | None = None,
    machine: Machine = CPU,
    dtype: torch.dtype = torch.float32,
    **changes,
) -> tuple[PairsObjective, VariantOptions]:
    return _run(data or pairs(20), pairs_options(**changes), seed, machine, dtype)


def ragged_run(**changes) -> tuple[PairsObjective, VariantOptions]:
    """Return a run whose sequences differ in length; their filling is nothing to the model."""
    return pairs_run(data=ragged(), **{"padding": "masked", **changes})


def made_up_run(
    name: str,
    seed: int = 0,
    machine: Machine = CPU,
    dtype: torch.dtype = torch.float32,
    **changes,
) -> Run:
    """Return a run of a kind on its made-up data, as plans have it."""
    options = OPTIONS[name].model_validate({**COMMON, **changes})
    return _run(kind_of(options).made_up(options), options, seed, machine, dtype)


def labels_run(
    seed: int = 0,
    data: Labelled | None = None,
    machine: Machine = CPU,
    dtype: torch.dtype = torch.float32,
    **changes,
) -> tuple[LabelsObjective, VariantOptions]:
    return _run(data or labelled(), labels_options(**changes), seed, machine, dtype)


def corpus_run(
    seed: int = 0,
    train=WORDS,
    valid=None,
    words: int = 7,
    machine: Machine = CPU,
    dtype: torch.dtype = torch.float32,
    **changes,
) -> tuple[CorpusObjective, VariantOptions]:
    data = corpus(train, train[1:21] if valid is None else valid, words)
    return _run(data, corpus_options(**changes), seed, machine, dtype)


@contextlib.contextmanager
def bfloat16_anywhere() -> Iterator[None]:
    """Let bfloat16 run also on a processor without units for it: there without oneDNN."""
    if choose(Compute(device="cpu")).precision == "bfloat16":
        yield
        return
    with warnings.catch_warnings(action="ignore"), torch.backends.mkldnn.flags(enabled=False):
        yield
