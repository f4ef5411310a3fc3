import json
import platform
from pathlib import Path

import numpy as np
import pytest
import torch

from unroll.errors import UserError
from unroll.options import Compute
from unroll.training.machine import Machine, choose

THERE = {
    "cuda": torch.cuda.is_available(),
    "mps": torch.backends.mps.is_available(),
    "cpu": True,
}
CPU_FLAGS = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
HAS_BF16 = "avx512_bf16" in CPU_FLAGS or "amx_tile" in CPU_FLAGS


def test_auto_takes_the_first_device_that_is_there():
    assert choose(Compute()).device == next(name for name, found in THERE.items() if found)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(device):
    if THERE[device]:
        pytest.skip(f"there is {device}")
    with pytest.raises(UserError, match=rf"compute\.device: {device} is not available .*cpu.*auto"):
        choose(Compute(device=device))


def test_what_is_named_is_taken():
    machine = choose(Compute(device="cpu", precision="float32", threads=3))
    assert machine == Machine("cpu", "float32", 3)


@pytest.mark.skipif(not CPU_FLAGS, reason="asks Linux for the processor")
def test_bfloat16_is_refused_where_there_are_no_units_for_it():
    """oneDNN's LSTM would fail in the middle of a training, in its own words."""
    compute = Compute(device="cpu", precision="bfloat16")
    if HAS_BF16:
        assert choose(compute) == Machine("cpu", "bfloat16", 1)
    else:
        with pytest.raises(UserError, match=r"compute\.precision: this cpu .* float32, or auto"):
            choose(compute)


@pytest.mark.skipif(not CPU_FLAGS, reason="asks Linux for the processor")
def test_auto_takes_bfloat16_where_the_processor_has_units_for_it():
    expected = "bfloat16" if HAS_BF16 else "float32"
    assert choose(Compute(device="cpu")).precision == expected


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_autocast_computes_in_the_precision(precision):
    x = torch.ones(2, 2)
    with Machine("cpu", precision, 1).autocast():
        assert (x @ x).dtype == getattr(torch, precision)
    assert (x @ x).dtype == torch.float32


def test_a_process_is_prepared_with_threads_and_deterministic_algorithms():
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    try:
        Machine("cpu", "float32", threads=2).prepare_process()
        assert torch.get_num_threads() == 2
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
        torch.utils.deterministic.fill_uninitialized_memory = fill


def test_facts_are_what_changes_results_and_the_environment_is_more():
    machine = Machine("cpu", "bfloat16", 3)
    assert machine.facts() == {"device": "cpu", "precision": "bfloat16", "threads": 3}
    environment = machine.environment()
    assert {name: environment[name] for name in machine.facts()} == machine.facts()
    assert environment["torch"] == torch.__version__
    assert environment["numpy"] == np.__version__
    assert environment["python"] == platform.python_version()
    assert environment["device_name"]
    assert json.loads(json.dumps(environment)) == environment
