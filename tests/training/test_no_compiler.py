"""PyTorch's compiler, which takes each process seconds to import, stays out."""

import subprocess
import sys

import pytest

from conftest import ROOT
from mutants.variants import VARIANTS

LOOK = """
import sys

from plans.test_training import kind_of, miniature, plan_of, variant
from unroll.models.budget import parameters

for name in sys.argv[1:]:  # trained, resumed and scored; its parameters counted
    plan_of(variant(name))
    toy = miniature(variant(name))
    kind = kind_of(toy)
    form = kind.form(kind.made_up(toy))
    assert parameters(lambda options: kind.build(options, form), toy) > 0
    assert "torch._dynamo" not in sys.modules, name
"""
NAMES = ["attention-modern", "general", "keras", "book", "pooled-masked", "last-keras", "tied"]


@pytest.mark.slow
def test_no_training_or_scoring_imports_it():
    optimizers = {VARIANTS[name][1]["optimizer"] for name in NAMES}
    assert optimizers == {"sgd", "adam", "adamw", "rmsprop"}
    subprocess.run([sys.executable, "-c", LOOK, *NAMES], check=True, cwd=ROOT / "tests")
