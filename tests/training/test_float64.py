"""A float64 model is computed in float64 all the way: plans compare what it does to six digits."""

from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from training.made import corpus_run, labels_run, made_up_run, pairs_run, ragged_run
from unroll.training.optimisation import Optimisation

NARROW = {torch.float16, torch.bfloat16, torch.float32}
COINS = "aten.rand"  # of teacher forcing: what is drawn is the same for every precision


class Made(TorchDispatchMode):
    """Notes which operations made tensors of which types."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, torch.dtype]] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.found.add((str(func).removesuffix(".default"), leaf.dtype))
        return result

    def narrow(self) -> set[str]:
        return {name for name, dtype in self.found if dtype in NARROW}


COMMON = {"dropout": 0.3, "layers": 2, "clip": 1.0, "weight_decay": 0.1}
RUNS = {
    "pairs": partial(pairs_run, **COMMON),
    "pairs, masked attention": partial(
        pairs_run, padding="masked", decoder="attention", reverse_source=True, **COMMON
    ),
    "pairs, ragged, peeky, forced": partial(
        ragged_run, decoder="peeky", teacher_forcing=0.5, bidirectional=True, **COMMON
    ),
    "labels": partial(labels_run, **COMMON),
    "labels, masked attention": partial(
        labels_run, padding="masked", pooling="attention", **COMMON
    ),
    "labels, max": partial(labels_run, padding="masked", pooling="max", **COMMON),
    "pairs, combined, read twice": partial(
        made_up_run, "pairs", curriculum="combined", double_source=True, **COMMON
    ),
    "replies": partial(made_up_run, "replies", padding="masked", **COMMON),
    "captions": partial(made_up_run, "captions", decoder="peeky", padding="masked", **COMMON),
    "captions, attention": partial(
        made_up_run, "captions", decoder="attention", padding="masked", **COMMON
    ),
    "corpus": partial(corpus_run, **COMMON),
    "corpus, tied": partial(
        corpus_run, tie_weights=True, skip_connections=True, variational_dropout=True, **COMMON
    ),
}


def computed(make, dtype: torch.dtype) -> Made:
    """Train two steps and validate; return what was made on the way."""
    objective, options = make(dtype=dtype)
    objective.model.train()
    optimisation = Optimisation(objective.model, options, 10)
    with Made() as made:
        for _, loss in zip(range(2), objective.losses(1), strict=False):
            optimisation.step(loss)
        objective.validate()
    return made


@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS.keys())
def test_no_narrow_number_is_made_on_the_way_of_a_float64_model(make):
    made = computed(make, torch.float64)
    assert {name for name in made.narrow() if not name.startswith(COINS)} == set()
    assert len([name for name, dtype in made.found if dtype == torch.float64]) > 20


@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS.keys())
def test_the_way_of_a_float32_model_shows_that_this_would_be_noticed(make):
    assert len(computed(make, torch.float32).narrow()) > 20
